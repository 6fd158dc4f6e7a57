/** What differs between two saved states. */
import type { DecodedState, SavedRecord } from "@vmm/cpr";
import { fieldValue, plainValue, shownValue } from "./field-values.ts";

/** `undefined` stands for what is not there. */
export interface Difference {
  readonly record: string;
  /** Missing where the record as a whole is meant. */
  readonly field?: string;
  readonly a: unknown;
  readonly b: unknown;
  /** The two for people. */
  readonly shown: readonly [string, string];
}

const SHOWN_WIDTH = 40;
const NOTHING = "-";

const describe = ({ kind, version }: SavedRecord) => `${kind} version ${version}`;

function whole(name: string, a: SavedRecord | undefined, b: SavedRecord | undefined): Difference {
  const [left, right] = [a && describe(a), b && describe(b)];
  return { record: name, a: left, b: right, shown: [left ?? NOTHING, right ?? NOTHING] };
}

function valuesOf(record: SavedRecord) {
  return new Map(record.fields.map((field) => [field.name, fieldValue(record, field)]));
}

function fieldDifferences(a: SavedRecord, b: SavedRecord): Difference[] {
  const [left, right] = [valuesOf(a), valuesOf(b)];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((field): Difference[] => {
    const [x, y] = [left.get(field), right.get(field)];
    const [plainX, plainY] = [x === undefined ? x : plainValue(x), y === undefined ? y : plainValue(y)];
    if (Bun.deepEquals(plainX, plainY)) return [];
    const show = (value: typeof x) => (value === undefined ? NOTHING : shownValue(value, SHOWN_WIDTH));
    return [{ record: a.name, field, a: plainX, b: plainY, shown: [show(x), show(y)] }];
  });
}

/** All differences, in the order of the records. What the headers say of times is not one. */
export function stateDifferences(a: DecodedState, b: DecodedState): Difference[] {
  const right = new Map(b.records.map((record) => [record.name, record]));
  const names = new Set(a.records.map(({ name }) => name));
  const added = b.records
    .filter(({ name }) => !names.has(name))
    .map((record) => whole(record.name, undefined, record));
  const changed = a.records.flatMap((record) => {
    const other = right.get(record.name);
    if (!other) return [whole(record.name, record, undefined)];
    const kind = describe(record) === describe(other) ? [] : [whole(record.name, record, other)];
    return [...kind, ...fieldDifferences(record, other)];
  });
  return [...changed, ...added];
}

export function differenceLines(differences: readonly Difference[]): string[] {
  return differences.flatMap(({ record, field, shown: [a, b] }) => [
    field ? `${record}.${field}` : record,
    `  < ${a}`,
    `  > ${b}`,
  ]);
}
