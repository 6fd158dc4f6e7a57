/** Results as a table of at most 80 columns. */

export interface Table {
  readonly title: string;
  /** The first column is text, the others are numbers. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  /** Lines below the table. */
  readonly notes?: readonly string[];
}

const WIDTH = 80;

/** A number with the digits that mean something: three, or the whole number where that has more. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toString();
  return value.toFixed(size >= 10 ? 1 : 2);
}

export function formatTable({ title, columns, rows, notes = [] }: Table): string {
  const cells = [columns, ...rows].map((row) =>
    row.map((cell) => (typeof cell === "number" ? readable(cell) : cell)),
  );
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? "").length)));
  const lines = cells.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[i] as number)))
      .join("  ")
      .trimEnd(),
  );
  const rule = "-".repeat(widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)));
  return [title, "", lines[0], rule, ...lines.slice(1), ...wrapped(notes)].join("\n");
}

function wrapped(notes: readonly string[]): string[] {
  return notes.flatMap((note, i) => {
    const lines = i === 0 ? ["", ""] : [""];
    for (const word of note.split(" ")) {
      const line = lines.at(-1) as string;
      if (line.length + 1 + word.length > WIDTH) lines.push(word);
      else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
    }
    return lines;
  });
}
