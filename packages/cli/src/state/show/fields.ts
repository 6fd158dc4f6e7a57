/** The fields of a record, one below the other. */
import { type DescribedField, isZero, type StateValue } from "@vmm/cpr/describe";
import { plain, WIDTH } from "../../command/text.ts";
import { hexdump } from "../format/hexdump.ts";
import { formatInteger } from "../format/integer.ts";
import { textDump } from "../format/text-dump.ts";
import { INDENT, INNER, wrapWords } from "./layout.ts";

/** So many fields that are zero are told in one line. */
const MANY_ZEROS = 4;
/** Names are padded to the longest of a record, but no further than this. */
const NAME_WIDTH = 26;
/** Fields that mean nothing: not worth a line unless there is something in them. */
const FILLER = /^(pad\d*|padding|\w*reserved)$/;

interface Row {
  readonly name: string;
  readonly text: string;
  /** Lines below the row. */
  readonly below: readonly string[];
}

function listText(items: readonly StateValue[]): string | undefined {
  if (items.length === 0) return "none";
  if (items.length > MANY_ZEROS && items.every(isZero)) return "all 0";
  if (items.some((item) => item.type !== "integer")) return undefined;
  return items.map((item) => (item.type === "integer" ? formatInteger(item) : "")).join(" ");
}

function bytesRow(name: string, bytes: Uint8Array, full: boolean): Row {
  const size = `${bytes.length} bytes`;
  const zero = bytes.every((byte) => byte === 0);
  if (zero) return { name, text: bytes.length === 0 ? "nothing" : `${size}, all 0`, below: [] };
  return { name, text: size, below: hexdump(bytes, full) };
}

/** A value as rows: structures and lists of them have one for each part. */
function rowsOf({ name, value, meaning }: DescribedField, full: boolean): Row[] {
  switch (value.type) {
    case "integer":
      return [{ name, text: formatInteger(value) + (meaning ? `  ${meaning}` : ""), below: [] }];
    case "bytes":
      return [bytesRow(name, value.bytes, full)];
    case "text":
      return [{ name, text: `${value.bytes.length} bytes`, below: textDump(value.bytes, INNER, full) }];
    case "list": {
      const text = listText(value.items);
      if (text !== undefined) return [{ name, text, below: [] }];
      return value.items.flatMap((item, i) => rowsOf({ name: `${name}[${i}]`, value: item }, full));
    }
    case "struct":
      return structRow(name, value.fields) ?? wholeStruct(name, value.fields, full);
  }
}

/** A structure of integers only, in one row; those that are 0 are left out. */
function structRow(name: string, fields: readonly DescribedField[]): Row[] | undefined {
  const parts: string[] = [];
  for (const field of fields) {
    if (isZero(field.value)) continue;
    if (field.value.type !== "integer") return undefined;
    parts.push(`${field.name}=${formatInteger(field.value).replace(" ", "")}`);
  }
  return [{ name, text: parts.join(" ") || "all 0", below: [] }];
}

function wholeStruct(name: string, fields: readonly DescribedField[], full: boolean): Row[] {
  return fields.flatMap((field) => rowsOf({ ...field, name: `${name}.${field.name}` }, full));
}

const stem = (name: string) => name.replace(/\d+/g, "");

/** Numbered rows in a row that say the same become one. */
function joinSame(rows: readonly Row[]): Row[] {
  const joined: (Row & { readonly first: string })[] = [];
  for (const row of rows) {
    const last = joined.at(-1);
    const isAlike = last?.text === row.text && stem(last.first) === stem(row.name);
    if (last && isAlike && last.below.length + row.below.length === 0) {
      joined[joined.length - 1] = { ...last, name: `${last.first} to ${row.name}` };
    } else joined.push({ ...row, first: row.name });
  }
  return joined;
}

/** Name and text beside each other where they fit, if need be in several lines, else one below the other. */
function headLines(name: string, text: string, column: number): string[] {
  const beside = `${INDENT}${name.padEnd(column)}  ${text}`;
  const [word = "", ...words] = text.split(" ");
  const first = `${INDENT}${name.padEnd(column)}  ${word}`;
  if (name.length > column || first.length > WIDTH) {
    return [...wrapWords([name], INDENT), ...wrapWords([word, ...words], INDENT + INDENT)];
  }
  return beside.length <= WIDTH ? [beside] : wrapWords(words, first);
}

function rowLines(row: Row, column: number): string[] {
  const name = plain(row.name);
  const text = plain(row.text);
  return [...headLines(name, text, column), ...row.below.map((line) => INDENT + INDENT + line)];
}

/** The fields that are not worth a line of their own. */
function hiddenFields(fields: readonly DescribedField[]): ReadonlySet<DescribedField> {
  const zeros = fields.filter(({ value, meaning }) => meaning === undefined && isZero(value));
  const fillers = zeros.filter(({ name }) => FILLER.test(name));
  return new Set(zeros.length - fillers.length >= MANY_ZEROS ? zeros : fillers);
}

/**
 * Lines of at most 80 columns.
 *
 * @param full Show every byte, and each field that is 0 in a line of its own.
 */
export function fieldLines(fields: readonly DescribedField[], full: boolean): string[] {
  const hidden = full ? new Set<DescribedField>() : hiddenFields(fields);
  const shown = fields.filter((field) => !hidden.has(field)).flatMap((field) => rowsOf(field, full));
  const rows = full ? shown : joinSame(shown);
  const longest = rows.reduce((most, { name }) => Math.max(most, name.length), 0);
  const column = Math.min(NAME_WIDTH, longest);
  const lines = rows.flatMap((row) => rowLines(row, column));
  const names = [...hidden].filter(({ name }) => !FILLER.test(name)).map(({ name }) => plain(name));
  if (names.length === 0) return lines;
  const listed = names.map((name, i) => name + (i < names.length - 1 ? "," : ""));
  return [...lines, ...wrapWords(listed, `${INDENT}0 or empty:`)];
}
