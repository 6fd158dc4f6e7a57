/** Output to people and programs. `console.log` is the cheap way: it does not set up `process.stdout`. */

import { plain, plainJson, plainLines } from "./command/text.ts";

/** Prints lines to stdout. What was said by a file or another program does nothing to the terminal. */
export function print(...lines: readonly string[]): void {
  console.log(plainLines(lines.join("\n")));
}

/** Prints a value as JSON to stdout. @param indent Columns of each level; 0 is all of it in one line. */
export function printJson(value: unknown, indent = 2): void {
  console.log(plainJson(JSON.stringify(value, null, indent) ?? "null"));
}

/** Prints the one line of an error to stderr. */
export function printError(message: string): void {
  console.error(`vmm: ${plain(message)}`);
}
