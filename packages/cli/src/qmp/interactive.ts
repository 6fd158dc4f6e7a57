/** A QMP session: a command a line from stdin, results and events to stdout. */
import { createInterface } from "node:readline";
import { reasonOf, UsageError } from "../cli-error.ts";
import { EXIT } from "../exit-code.ts";
import { printError, printJson } from "../print.ts";
import { isTerminal } from "../terminal.ts";
import { connectQmp } from "../vm/connect.ts";
import type { VmFolder } from "../vm/find-vms.ts";
import { parseQmpArguments } from "./arguments.ts";

/** Back to the line's beginning, and erase it (ECMA-48: CR, EL). */
const CLEAR_LINE = "\r\x1b[K";

/** A line taken apart: a whole QMP command in JSON, or a name with arguments. @throws UsageError */
export function parseLine(line: string): { execute: string; arguments: Record<string, unknown> } {
  const text = line.trim();
  if (text.startsWith("{")) {
    const { execute, arguments: parameters = {} } = parseQmpArguments([text]);
    if (typeof execute !== "string") throw new UsageError('a command in JSON has an "execute"');
    return { execute, arguments: parameters as Record<string, unknown> };
  }
  const space = text.search(/\s/);
  if (space === -1) return { execute: text, arguments: {} };
  const rest = text.slice(space).trim();
  const words = rest.startsWith("{") ? [rest] : rest.split(/\s+/);
  return { execute: text.slice(0, space), arguments: parseQmpArguments(words) };
}

export async function interactiveQmp(vm: VmFolder): Promise<number> {
  const qmp = await connectQmp(vm);
  const interactive = isTerminal(0);
  const lines = createInterface({
    input: process.stdin,
    output: process.stderr,
    terminal: interactive,
    prompt: "qmp> ",
  });
  let failed = false;
  const showPrompt = () => {
    if (interactive) lines.prompt(true);
  };
  /** In place of the prompt, which comes again below it. */
  const show: Show = (write) => {
    if (interactive) process.stderr.write(CLEAR_LINE);
    write();
    showPrompt();
  };
  qmp.onEvent((event) => show(() => printJson(event, 0)));
  void qmp.closed.then(() => lines.close());
  showPrompt();
  for await (const line of lines) {
    if (line.trim() === "") showPrompt();
    else failed = !(await runLine(qmp, line, show)) || failed;
  }
  if (interactive) process.stderr.write("\n");
  qmp.close();
  return failed && !interactive ? EXIT.failed : EXIT.ok;
}

interface Executor {
  execute(command: string, args?: Record<string, unknown>): Promise<unknown>;
}

type Show = (write: () => void) => void;

/** @returns Whether it worked. */
async function runLine(qmp: Executor, line: string, show: Show): Promise<boolean> {
  try {
    const { execute, arguments: parameters } = parseLine(line);
    const result = await qmp.execute(execute, parameters);
    show(() => printJson(result));
    return true;
  } catch (error) {
    show(() => printError(reasonOf(error)));
    return false;
  }
}
