/** Text for a terminal of 80 columns. */

export const WIDTH = 80;

/**
 * Characters that do something to a terminal, or to the order in which it shows others: controls, C1 included, line
 * separators, and what turns the direction of text (Unicode TR9). Names from files and words of other programs have them.
 */
const ACTIVE = "\\p{Cc}\\u2028-\\u202e\\u2066-\\u2069";
const UNSAFE = new RegExp(`[${ACTIVE}]`, "gu");
const UNSAFE_IN_LINES = new RegExp(`(?![\\n\\t])[${ACTIVE}]`, "gu");

/** One line, without characters that would do something to the terminal. */
export const plain = (text: string): string => text.replace(UNSAFE, "?");

/** The same for lines, which stay such. */
export const plainLines = (text: string): string => text.replace(UNSAFE_IN_LINES, "?");

/** The same for JSON, which can say what it has. */
export const plainJson = (text: string): string =>
  text.replace(UNSAFE_IN_LINES, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Breaks a paragraph between words into lines of at most `width` columns. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line === "") line = word;
    else if (line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  if (line !== "") lines.push(line);
  return lines;
}

/** Terms with their explanations beside them. One that is too long for its column has the explanation below. */
export function definitions(
  entries: readonly (readonly [term: string, text: string])[],
  column: number,
): string[] {
  const lines: string[] = [];
  for (const [term, text] of entries) {
    const wrapped = wrap(text, WIDTH - column);
    const head = `  ${term}`;
    const beside = head.length + 2 <= column;
    lines.push(beside ? `${head.padEnd(column)}${wrapped[0] ?? ""}`.trimEnd() : head);
    for (const line of beside ? wrapped.slice(1) : wrapped) lines.push(" ".repeat(column) + line);
  }
  return lines;
}

/** A table whose columns are as wide as they need to be. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
