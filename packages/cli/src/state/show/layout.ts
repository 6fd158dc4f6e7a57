/** How the lines of `vmm state` are laid out. */
import { plain, WIDTH } from "../../command/text.ts";

export const INDENT = "  ";

/** Columns that are left for what is indented below something. */
export const INNER = WIDTH - 2 * INDENT.length;

/** Breaks what has no spaces, such as a name that somebody made up, so that it fits. */
function chop(text: string, width: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length; at += width) parts.push(text.slice(at, at + width));
  return parts;
}

/** Words behind `first` in lines of at most 80 columns, the further ones indented below the first. */
export function wrapWords(words: readonly string[], first: string): string[] {
  const indent = " ".repeat(first.length - first.trimStart().length) + INDENT;
  const lines: string[] = [];
  let line = first;
  for (const word of words.flatMap((text) => chop(text, WIDTH - indent.length))) {
    if (line.trim() !== "" && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = indent + word;
    } else line += line.trim() === "" ? word : ` ${word}`;
  }
  lines.push(line);
  return lines;
}

/** Rows of a name and a text beside it, in columns. */
export function nameRows(rows: readonly (readonly [name: string, text: string])[]): string[] {
  const column = rows.reduce((most, [name]) => Math.max(most, name.length), 0);
  return rows.flatMap(([name, text]) => {
    const words = plain(text).split(" ");
    return wrapWords(words.slice(1), `${INDENT}${name.padEnd(column)}  ${words[0]}`);
  });
}

/** A line with a part at either end; two lines where they do not fit into one. */
export function ends(left: string, right: string): string[] {
  const room = WIDTH - right.length;
  if (left.length + 2 <= room) return [left.padEnd(room) + right];
  return [...wrapWords(left.split(" "), ""), ...wrapWords(right.split(" "), INDENT)];
}
