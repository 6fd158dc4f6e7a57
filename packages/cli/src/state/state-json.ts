/**
 * Saved states and their differences as JSON. Integers of 64 bits and more are hex text, since numbers of JSON lose bits
 * beyond 2^53 in most programs; bytes are hex text without 0x, text from the guest is text of one character per byte.
 */
import type { DecodedState } from "@vmm/cpr";
import { type DescribedRecord, describeRecords, type FieldChange, type StateValue } from "@vmm/cpr/describe";
import type { StatesDiff } from "./diff-states.ts";
import { hex } from "./format/integer.ts";
import { STATE_BOOK } from "./kinds/book.ts";
import type { RamSummary } from "./ram.ts";

/** The widest integer that every number of JSON can hold, in bytes. */
const NUMBER_SIZE = 4;

export function valueJson(value: StateValue): unknown {
  switch (value.type) {
    case "integer":
      return value.size <= NUMBER_SIZE ? Number(value.value) : hex(value);
    case "bytes":
      return value.bytes.toHex();
    case "text":
      return Buffer.from(value.bytes).toString("latin1");
    case "list":
      return value.items.map(valueJson);
    case "struct":
      return Object.fromEntries(value.fields.map((field) => [field.name, valueJson(field.value)]));
  }
}

function recordJson({ name, kind, version, compat, data, fields }: DescribedRecord) {
  const values = valueJson({ type: "struct", fields });
  return { name, kind, version, compat, size: data.length, fields: values };
}

/** @param size Of the state in bytes, without RAM. */
export function stateJson({ header, records }: DecodedState, size: number, ram: readonly RamSummary[] = []) {
  return {
    type: "saved-state",
    size,
    header,
    ...(ram.length > 0 && { ram }),
    records: describeRecords(records, STATE_BOOK).map(recordJson),
  };
}

function changeJson({ path, before, after }: FieldChange) {
  return { path, ...(before && { before: valueJson(before) }), ...(after && { after: valueJson(after) }) };
}

const schemaJson = ({ kind, version, compat, data }: DescribedRecord) => ({
  kind,
  version,
  compat,
  size: data.length,
});

export function diffJson({ equal, header, records, ram }: StatesDiff) {
  return {
    equal,
    header,
    ram,
    removed: records.removed.map(recordJson),
    added: records.added.map(recordJson),
    changed: records.changed.map(({ name, before, after, fields }) => ({
      name,
      before: schemaJson(before),
      after: schemaJson(after),
      fields: fields.map(changeJson),
    })),
  };
}
