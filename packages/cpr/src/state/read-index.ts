/** Reading the index of a state, which comes from another program: all of it is checked. */
import type { FieldInfo } from "@vmm/libc";
import { JsonChecker, type JsonObject } from "../json-check.ts";
import {
  MAX_ALL_FIELDS,
  MAX_FIELDS,
  MAX_NAME,
  MAX_RECORDS,
  MAX_STATE,
  type RecordShape,
  type Schema,
} from "./shape.ts";

const check = new JsonChecker("state-invalid", "the saved state");

// The path to the guest's next instruction runs through here, once and cold: no text is made before it is needed.

const isName = (value: unknown): value is string => typeof value === "string" && value.length <= MAX_NAME;
const isLength = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_STATE;
const isVersion = (value: unknown): value is number => isLength(value) && value > 0;

type Raw = readonly unknown[];
const isList = (value: unknown, limit: number): value is Raw => Array.isArray(value) && value.length <= limit;

function readField(value: unknown, kind: string): FieldInfo {
  const [name, type, offset, size] = isList(value, 4) ? value : [];
  if (!isName(name) || !isName(type) || !isLength(offset) || !isLength(size)) {
    return check.fail(`a field of ${kind}`, "a name, a type, an offset and a size");
  }
  return { name, type, offset, size };
}

interface ReadSchema extends Schema {
  /** Bytes that the fields need, which do not overlap. */
  readonly needed: number;
}

function readSchema(value: unknown): ReadSchema {
  const { kind, version, compat, fields } = (value ?? {}) as Record<string, unknown>;
  if (!isName(kind) || !isVersion(version) || !isVersion(compat) || !isList(fields, MAX_FIELDS)) {
    return check.fail("a schema", "a kind, a version, a compat version and fields");
  }
  let [end, sum] = [0, 0];
  const infos = fields.map((field) => {
    const info = readField(field, kind);
    end = Math.max(end, info.offset + info.size);
    sum += info.size;
    return info;
  });
  return { kind, version, compat, fields: infos, needed: Math.max(end, sum) };
}

function readShape(index: JsonObject): RecordShape[] {
  const schemas = check.array(index.schemas, "schemas", MAX_RECORDS).map(readSchema);
  const names = new Set<string>();
  let fields = 0;
  return check.array(index.records, "records", MAX_RECORDS).map((value) => {
    const [name, number, length] = isList(value, 3) ? value : [];
    const schema = isLength(number) ? schemas[number] : undefined;
    if (!isName(name) || !schema || !isLength(length)) {
      return check.fail("a record", "a name, the number of a schema and a length");
    }
    if (names.has(name)) check.fail(`record "${name}"`, "the only one of its name");
    names.add(name);
    if (length < schema.needed) check.fail(`record "${name}"`, "as long as it should be");
    // records share schemas: a small index could stand for any number
    fields += schema.fields.length;
    if (fields > MAX_ALL_FIELDS) check.fail("the number of fields", `at most ${MAX_ALL_FIELDS}`);
    return { name, schema, length };
  });
}

/** What an index says. */
export interface StateIndex {
  readonly header: unknown;
  readonly records: readonly RecordShape[];
}

/** How the entries begin that tell the shape. */
const SHAPE = ',"schemas":';

/** `rest` is the index from `SHAPE` on, in bytes: to compare them takes a tenth of the time that it takes to read them. */
let read: { readonly rest: Uint8Array; readonly records: readonly RecordShape[] } | undefined;

/** @throws CprError `state-invalid` */
export function readIndex(bytes: Uint8Array): StateIndex {
  if (read && endsWith(bytes, read.rest)) {
    // what is whole without the rest is an object to which the rest adds its entries
    const first = parsed(bytes.subarray(0, bytes.length - read.rest.length), "}");
    if (first) return { header: first.header, records: read.records };
  }
  const index = parsed(bytes);
  if (index === undefined) check.fail("the index", "JSON");
  const { header } = check.object(index, "the index");
  const records = readShape(index as JsonObject);
  remember(bytes, header, records);
  return { header, records };
}

function remember(bytes: Uint8Array, header: unknown, records: readonly RecordShape[]): void {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(SHAPE);
  const first = at < 0 ? undefined : parsed(bytes.subarray(0, at), "}");
  if (first && isSame(first.header, header)) {
    // a copy, whatever kind of view it is: the state may be written over
    read = { rest: new Uint8Array(bytes.subarray(at)), records };
  }
}

const endsWith = (bytes: Uint8Array, end: Uint8Array): boolean =>
  bytes.length >= end.length && Buffer.compare(bytes.subarray(bytes.length - end.length), end) === 0;

function isSame(a: unknown, b: unknown): boolean {
  try {
    return Bun.deepEquals(a, b);
  } catch {
    // nested deeper than the stack is: not something that we wrote
    return false;
  }
}

function parsed(bytes: Uint8Array, end = ""): JsonObject | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes) + end) as JsonObject;
  } catch {
    return undefined;
  }
}
