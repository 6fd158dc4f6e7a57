/** Output to people and programs. `console.log` is the cheap way: it does not set up `process.stdout`. */

/** Prints lines to stdout. */
export function print(...lines: readonly string[]): void {
  console.log(lines.join("\n"));
}

/** Prints a value as JSON to stdout. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}

/** Prints the one line of an error to stderr. */
export function printError(message: string): void {
  console.error(`vmm: ${message}`);
}
