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

/** Whether the rows at two offsets are whole and alike. */
function isAlike(bytes: Uint8Array, a: number, b: number): boolean {
  for (let i = 0; i < ROW; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

/** The lines of a dump by where their rows begin; one that stands for rows like that before it begins nowhere. */
function* lineStarts(bytes: Uint8Array): Generator<number | undefined> {
  let isRepeat = false;
  for (let offset = 0; offset < bytes.length; offset += ROW) {
    const isLastRow = offset + ROW >= bytes.length;
    const wasRepeat = isRepeat;
    isRepeat = offset > 0 && !isLastRow && isAlike(bytes, offset, offset - ROW);
    if (!isRepeat) yield offset;
    else if (!wasRepeat) yield undefined;
  }
}

/** @param full Whether to show all, however long. */
export function hexdump(bytes: Uint8Array, full: boolean): string[] {
  const lines: string[] = [];
  let count = 0;
  for (const offset of lineStarts(bytes)) {
    if (full || count++ < SHORT) lines.push(offset === undefined ? "*" : row(bytes, offset));
  }
  if (full || count <= SHORT) return lines;
  const shown = lines.slice(0, SHORT - 1);
  return [...shown, `... ${count - shown.length} more lines; --full shows them`];
}
