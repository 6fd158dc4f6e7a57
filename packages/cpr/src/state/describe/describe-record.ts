/** What a saved record says, for people and for programs that did not write it. */
import type { SavedRecord } from "../record.ts";
import { decodeFields, type KnownLayouts } from "./decode-value.ts";
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

export function describeRecord(record: SavedRecord, book: StateBook = PLAIN_BOOK): DescribedRecord {
  const { name, kind, version, compat, data } = record;
  const plain = decodeFields(record.fields, data, book.layouts);
  const fields = book.readers.get(kind)?.(record, plain) ?? plain;
  return { name, kind, version, compat, data, fields };
}
