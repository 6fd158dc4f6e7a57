import { realpathSync } from "node:fs";
import { CHECKOUT } from "./checkout.ts";
import type { LabOptions } from "./options.ts";

/** Quotes a word for a POSIX shell. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * The shell text that the box's init evaluates: what is to be seen in there, the environment, the
 * folder and the command. See `tests/lab/init` for the words it may use.
 *
 * @param kernel the box's own kernel, which boots guests in there, too
 * @param end what the last line of each output stream begins with
 */
export function labJob(argv: readonly string[], options: LabOptions, kernel: string, end: string): string {
  const bun = realpathSync(process.execPath);
  return [
    `end=${shellQuote(end)}`,
    ...[CHECKOUT, bun, kernel, ...options.expose].map((path) => `expose ${shellQuote(path)}`),
    // The installed binary may have another name (npm's package calls it bun.exe), and is bunx by name.
    ...["bun", "bunx"].map((name) => `ln -s ${shellQuote(bun)} /run/lab/bin/${name}`),
    `export VMM_LAB_KERNEL=${shellQuote(kernel)}`,
    ...Object.entries(options.env).map(([name, value]) => `export ${name}=${shellQuote(value)}`),
    `cd ${shellQuote(CHECKOUT)}`,
    `set -- ${argv.map(shellQuote).join(" ")}`,
  ].join("\n");
}
