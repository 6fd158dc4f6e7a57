/** Bytes in rows of 16, with the characters that they stand for; rows that repeat are left out, as hexdump(1) does. */

const ROW = 16;

/** The longest dump that is shown where not all is asked for, in rows. */
const SHORT = 8;

const isPrintable = (byte: number) => byte >= 0x20 && byte < 0x7f;

function row(bytes: Uint8Array, offset: number): string {
  const part = bytes.subarray(offset, offset + ROW);
  const cells = [...part].map((byte) => byte.toString(16).padStart(2, "0"));
  const text = [...part].map((byte) => (isPrintable(byte) ? String.fromCharCode(byte) : ".")).join("");
  const halves = [cells.slice(0, 8).join(" "), cells.slice(8).join(" ")].join("  ");
  return `${offset.toString(16).padStart(5, "0")}  ${halves.padEnd(49)} |${text}|`;
}

function rows(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  let last = "";
  for (let offset = 0; offset < bytes.length; offset += ROW) {
    const line = row(bytes, offset);
    const isLastRow = offset + ROW >= bytes.length;
    const same = line.slice(5) === last.slice(5) && !isLastRow;
    if (!same) lines.push(line);
    else if (lines.at(-1) !== "*") lines.push("*");
    last = line;
  }
  return lines;
}

/** @param full Whether to show all, however long. */
export function hexdump(bytes: Uint8Array, full: boolean): string[] {
  const lines = rows(bytes);
  if (full || lines.length <= SHORT) return lines;
  const shown = lines.slice(0, SHORT - 1);
  return [...shown, `... ${lines.length - shown.length} more lines; --full shows them`];
}
