/** How two saved states differ, as lines of at most 80 columns. */
import {
  type DescribedRecord,
  type FieldChange,
  type RecordChange,
  type StateValue,
  sameBytes,
} from "@vmm/cpr/describe";
import { plain, WIDTH } from "../../command/text.ts";
import type { StatesDiff } from "../diff-states.ts";
import { formatInteger } from "../format/integer.ts";
import { textDump } from "../format/text-dump.ts";
import type { RamChange } from "../ram.ts";
import { INDENT, INNER, wrapWords } from "./layout.ts";
import { schemaText } from "./record.ts";

/** Places in one field's bytes that are shown; of more only their number is told. */
const MAX_PLACES = 4;
/** Bytes of one place that are shown. */
const MAX_SHOWN = 8;

interface Place {
  readonly offset: number;
  readonly length: number;
}

/** Where bytes differ; places that are less than 4 bytes apart count as one. */
function places(a: Uint8Array, b: Uint8Array): { first: Place[]; number: number; bytes: number } {
  const first: { offset: number; length: number }[] = [];
  let [number, bytes, end] = [0, 0, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (a[i] === b[i]) continue;
    const isNew = i - end >= 4;
    if (isNew && ++number <= MAX_PLACES) first.push({ offset: i, length: 0 });
    bytes += isNew ? 1 : i + 1 - end;
    end = i + 1;
    const place = first[number - 1];
    if (place) place.length = end - place.offset;
  }
  return { first, number, bytes };
}

function bytesAt(bytes: Uint8Array, { offset, length }: Place): string {
  const shown = bytes.subarray(offset, offset + Math.min(length, MAX_SHOWN));
  const text = [...shown].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return (text || "nothing") + (length > MAX_SHOWN ? " ..." : "");
}

function byteLines(path: string, a: Uint8Array, b: Uint8Array): string[] {
  const found = places(a, b);
  const sizes = a.length === b.length ? "" : `, ${a.length} -> ${b.length} bytes`;
  const head = `${found.bytes} ${found.bytes === 1 ? "byte differs" : "bytes differ"}${sizes}`;
  const shown = found.first.map((place) => {
    const at = `+0x${place.offset.toString(16)}`;
    return `${INDENT}${INDENT}${at}  ${bytesAt(a, place)}  ->  ${bytesAt(b, place)}`;
  });
  const more = found.number - shown.length;
  return [
    ...under(path, head),
    ...shown,
    ...(more > 0 ? [`${INDENT}${INDENT}and ${more} more ${more === 1 ? "place" : "places"}`] : []),
  ];
}

/** A name with something short beside it, or below it where the name is long. */
function under(path: string, text: string): string[] {
  const line = `${INDENT}${path}  ${text}`;
  return line.length <= WIDTH ? [line] : [...wrapWords([path], INDENT), INDENT + INDENT + text];
}

/** Text that went on where it had ended, as a console does; `undefined` where it did not. */
function appendedLines(path: string, before: Uint8Array, after: Uint8Array): string[] | undefined {
  if (after.length <= before.length || !sameBytes(before, after.subarray(0, before.length))) return undefined;
  const more = after.subarray(before.length);
  const lines = textDump(more, INNER - 2, false).map((line) => `${INDENT}${INDENT}+ ${line}`);
  return [...under(path, `${more.length} bytes more`), ...lines];
}

function textOf(value: StateValue): string {
  switch (value.type) {
    case "integer":
      return formatInteger(value);
    case "bytes":
    case "text":
      return `${value.bytes.length} bytes`;
    case "list":
      return value.items.map(textOf).join(" ") || "none";
    case "struct":
      return value.fields.map((field) => `${plain(field.name)}=${textOf(field.value)}`).join(" ");
  }
}

function pair(name: string, before: string, after: string): string[] {
  const line = `${INDENT}${name}  ${before}  ->  ${after}`;
  if (line.length <= WIDTH) return [line];
  return [
    ...wrapWords([name], INDENT),
    ...wrapWords(before.split(" "), `${INDENT}${INDENT}-`),
    ...wrapWords(after.split(" "), `${INDENT}${INDENT}+`),
  ];
}

function changeLines({ path: raw, before, after }: FieldChange): string[] {
  const path = plain(raw);
  if (before && after) {
    if ("bytes" in before && "bytes" in after) {
      const isText = before.type === "text" && after.type === "text";
      const appended = isText ? appendedLines(path, before.bytes, after.bytes) : undefined;
      return appended ?? byteLines(path, before.bytes, after.bytes);
    }
    const widths =
      before.type === "integer" && after.type === "integer" && before.size !== after.size
        ? [` as u${before.size * 8}`, ` as u${after.size * 8}`]
        : ["", ""];
    return pair(path, textOf(before) + widths[0], textOf(after) + widths[1]);
  }
  const [sign, value] = before ? ["-", before] : ["+", after as StateValue];
  return wrapWords([path, ...textOf(value).split(" ")], `${INDENT}${sign}`);
}

function recordLines({ name, before, after, fields }: RecordChange): string[] {
  const [a, b] = [schemaText(before), schemaText(after)];
  return [
    "",
    ...wrapWords([plain(name)], ""),
    ...(a === b ? [] : pair("record", a, b)),
    ...fields.flatMap(changeLines),
  ];
}

function ramLines({ name, pages, first }: RamChange): string[] {
  const count = `${pages} ${pages === 1 ? "page differs" : "pages differ"}`;
  return under(plain(name), `${count}, the first at 0x${first.toString(16)}`);
}

const lone = (sign: string) => (record: DescribedRecord) => [
  "",
  ...wrapWords([plain(record.name)], sign),
  ...wrapWords(schemaText(record).split(" "), INDENT),
];

/** No lines where nothing differs. */
export function diffLines(diff: StatesDiff, names: readonly [before: string, after: string]): string[] {
  if (diff.equal) return [];
  const header = diff.header.flatMap(({ name, before, after }) =>
    pair(plain(name), plain(before), plain(after)),
  );
  return [
    `--- ${plain(names[0])}`,
    `+++ ${plain(names[1])}`,
    ...(header.length > 0 ? ["", "header", ...header] : []),
    ...diff.records.changed.flatMap(recordLines),
    ...(diff.ram.length > 0 ? ["", "RAM", ...diff.ram.flatMap(ramLines)] : []),
    ...diff.records.removed.flatMap(lone("-")),
    ...diff.records.added.flatMap(lone("+")),
  ];
}
