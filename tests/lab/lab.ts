/** `bun run lab -- COMMAND...`: see `--help`. */

import { writeSync } from "node:fs";
import { LAB_HELP, parseLabArguments } from "./lib/arguments.ts";
import { bootLab } from "./lib/boot.ts";
import { LAB_EXIT_STATUS, LabError } from "./lib/errors.ts";
import type { Sink } from "./lib/stream.ts";

/** The console's last lines say why a kernel panicked. */
const CONSOLE_LINES = 30;

/** Writes to one of our own streams, no faster than its reader takes it. */
function sinkTo(stream: NodeJS.WriteStream, onReaderGone: () => void): Sink {
  stream.on("error", onReaderGone);
  return (chunk) => new Promise((resolve) => void stream.write(chunk, () => resolve()));
}

async function main(words: string[]): Promise<number> {
  const invocation = parseLabArguments(words);
  if (invocation.help) {
    writeSync(1, LAB_HELP);
    return 0;
  }
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
  return bootLab(invocation.argv, invocation.options, {
    stdout: sinkTo(process.stdout, interrupt),
    stderr: sinkTo(process.stderr, interrupt),
    signal: interruption.signal,
  });
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  const tail = error.code === "died" ? error.details.trimEnd().split("\n").slice(-CONSOLE_LINES) : [];
  const lines = [...tail.map((line) => `console: ${line}`), `lab: ${error.message}`];
  writeSync(2, `${lines.join("\n")}\n`);
  process.exit(LAB_EXIT_STATUS[error.code]);
}
