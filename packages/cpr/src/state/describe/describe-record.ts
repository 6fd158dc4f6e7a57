/** What a saved record says, for people and for programs that did not write it. */
import type { SavedRecord } from "../record.ts";
import { type Budget, decodeFields, type KnownLayouts } from "./decode-value.ts";
import type { DescribedField, DescribedRecord } from "./value.ts";

/**
 * Reads more out of a record than its list of fields tells.
 *
 * @param fields What the list of fields tells.
 * @returns `undefined` where the record does not look as expected.
 */
export type RecordReader = (
  record: SavedRecord,
  fields: readonly DescribedField[],
) => readonly DescribedField[] | undefined;

/** What is known about states beside what they say themselves. */
export interface StateBook {
  readonly layouts: KnownLayouts;
  /** By the kind of record. */
  readonly readers: ReadonlyMap<string, RecordReader>;
}

/** Knows integers and lists of them. */
export const PLAIN_BOOK: StateBook = { layouts: new Map(), readers: new Map() };

/** The most values that a state is described by, more or less. */
const MAX_VALUES = 1 << 19;

/** A reader makes at most so many values of a record: of the bytes, one of eight or so. */
const valuesRead = (data: Uint8Array) => data.length >> 3;

function describe(record: SavedRecord, book: StateBook, budget: Budget): DescribedRecord {
  const { name, kind, version, compat, data } = record;
  const plain = decodeFields(record.fields, data, book.layouts, budget);
  const reader = valuesRead(data) <= budget.left ? book.readers.get(kind) : undefined;
  if (reader) budget.left -= valuesRead(data);
  return { name, kind, version, compat, data, fields: reader?.(record, plain) ?? plain };
}

export function describeRecord(record: SavedRecord, book: StateBook = PLAIN_BOOK): DescribedRecord {
  return describe(record, book, { left: MAX_VALUES });
}

/** All records of a state. Where there is more in them than anybody made on purpose, some of it stays bytes. */
export function describeRecords(
  records: readonly SavedRecord[],
  book: StateBook = PLAIN_BOOK,
): DescribedRecord[] {
  const budget = { left: MAX_VALUES };
  return records.map((record) => describe(record, book, budget));
}
