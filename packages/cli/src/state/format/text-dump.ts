/** Text from a guest, safe to print: what is not plain ASCII is escaped, and long lines are broken. */

/** The longest text that is shown where not all is asked for, in lines: the last ones. */
const SHORT = 12;

const ESCAPES: Readonly<Record<number, string>> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  13: "\\r",
  27: "\\e",
  92: "\\\\",
};

function escapeByte(byte: number): string {
  const known = ESCAPES[byte];
  if (known !== undefined) return known;
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

const LINE_FEED = 10;

function lines(bytes: Uint8Array, width: number): string[] {
  const found: string[] = [];
  let line = "";
  for (const byte of bytes) {
    const next = byte === LINE_FEED ? "\\n" : escapeByte(byte);
    if (line.length + next.length > width) {
      found.push(line);
      line = "";
    }
    line += next;
    if (byte === LINE_FEED) {
      found.push(line);
      line = "";
    }
  }
  if (line !== "") found.push(line);
  return found;
}

/** @param full Whether to show all, however long. */
export function textDump(bytes: Uint8Array, width: number, full: boolean): string[] {
  const all = lines(bytes, width);
  if (full || all.length <= SHORT) return all;
  const shown = all.slice(1 - SHORT);
  return [`... ${all.length - shown.length} earlier lines; --full shows them`, ...shown];
}
