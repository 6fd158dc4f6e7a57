/** How two saved states differ: record by record, field by field. */
import type { DescribedField, DescribedRecord, StateValue } from "./value.ts";

/** One side is missing where only the other state has it. */
export interface FieldChange {
  /** Names and indices from the record down, such as `cs.base` or `xcrs[0].value`. */
  readonly path: string;
  readonly before?: StateValue;
  readonly after?: StateValue;
}

export interface RecordChange {
  readonly name: string;
  readonly before: DescribedRecord;
  readonly after: DescribedRecord;
  readonly fields: readonly FieldChange[];
}

export interface RecordsDiff {
  readonly removed: readonly DescribedRecord[];
  readonly added: readonly DescribedRecord[];
  readonly changed: readonly RecordChange[];
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Pairs two lists by name: what both have, then what only one of them has, in order. A name may be there twice. */
function pairs<T extends { readonly name: string }>(before: readonly T[], after: readonly T[]) {
  const later = Map.groupBy(after, ({ name }) => name);
  const both: (readonly [T, T])[] = [];
  const removed: T[] = [];
  for (const item of before) {
    const match = later.get(item.name)?.shift();
    if (match) both.push([item, match]);
    else removed.push(item);
  }
  return { both, removed, added: [...later.values()].flat() };
}

function diffFields(
  before: readonly DescribedField[],
  after: readonly DescribedField[],
  prefix: string,
): FieldChange[] {
  const { both, removed, added } = pairs(before, after);
  return [
    ...both.flatMap(([a, b]) => diffValues(a.value, b.value, prefix + a.name)),
    ...removed.map(({ name, value }) => ({ path: prefix + name, before: value })),
    ...added.map(({ name, value }) => ({ path: prefix + name, after: value })),
  ];
}

function diffValues(before: StateValue, after: StateValue, path: string): FieldChange[] {
  if (before.type === "struct" && after.type === "struct") {
    return diffFields(before.fields, after.fields, `${path}.`);
  }
  if (before.type === "list" && after.type === "list" && before.items.length === after.items.length) {
    return before.items.flatMap((item, i) => diffValues(item, after.items[i] as StateValue, `${path}[${i}]`));
  }
  return sameLeaf(before, after) ? [] : [{ path, before, after }];
}

function sameLeaf(a: StateValue, b: StateValue): boolean {
  if (a.type === "integer" && b.type === "integer") return a.value === b.value && a.size === b.size;
  if ((a.type === "bytes" || a.type === "text") && a.type === b.type) return sameBytes(a.bytes, b.bytes);
  return false;
}

/** Of a record whose bytes differ where no field of its description lies: all of them. */
function diffRecord(before: DescribedRecord, after: DescribedRecord): FieldChange[] {
  const changes = diffFields(before.fields, after.fields, "");
  if (changes.length > 0 || sameBytes(before.data, after.data)) return changes;
  const whole = ({ data }: DescribedRecord): StateValue => ({ type: "bytes", bytes: data });
  return [{ path: "(bytes)", before: whole(before), after: whole(after) }];
}

function sameSchema(a: DescribedRecord, b: DescribedRecord): boolean {
  return a.kind === b.kind && a.version === b.version && a.compat === b.compat;
}

/** Compares two states' records. The order of records and fields is of no account. */
export function diffRecords(
  before: readonly DescribedRecord[],
  after: readonly DescribedRecord[],
): RecordsDiff {
  const { both, removed, added } = pairs(before, after);
  const changed = both
    .map(([a, b]) => ({ name: a.name, before: a, after: b, fields: diffRecord(a, b) }))
    .filter(({ before: a, after: b, fields }) => fields.length > 0 || !sameSchema(a, b));
  return { removed, added, changed };
}
