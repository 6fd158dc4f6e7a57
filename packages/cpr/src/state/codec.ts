/**
 * A saved state as bytes: an envelope, an index in JSON that describes every record down to its fields, and the records'
 * bytes. Whoever has the file can read it, whatever wrote it; the owners' rules decide what can be loaded.
 *
 * Contents: the index's length (u32), the index, then each record's data in the order of the index, each at a multiple
 * of 16 bytes from the start of the contents.
 *
 * The index: `{ header, schemas: [{ kind, version, compat, fields: [[name, type, offset, size]] }],
 * records: [[name, index of its schema, length]] }`.
 */
import type { FieldInfo } from "@vmm/libc";
import { type Json, JsonChecker, type JsonObject } from "../json-check.ts";
import { ENVELOPE_SIZE, type FileFormat, openEnvelope, sealEnvelope } from "./envelope.ts";
import { checkHeader, type StateHeader } from "./header.ts";
import type { SavedRecord } from "./record.ts";

const FORMAT: FileFormat = { magic: "VMMSTATE", version: 1, what: "saved state", limit: 256 << 20 };

/** The most records of a state. */
export const MAX_RECORDS = 1 << 16;
/** The most fields of a record. */
export const MAX_FIELDS = 4096;
/** The longest name of a record or a field, and the longest kind. */
export const MAX_NAME = 255;

const ALIGN = 16;
const align = (offset: number) => Math.ceil(offset / ALIGN) * ALIGN;

const check = new JsonChecker("state-invalid", "the saved state");

interface Schema {
  readonly kind: string;
  readonly version: number;
  readonly compat: number;
  readonly fields: readonly FieldInfo[];
}

/** Records that share their list of fields share its description. */
function collectSchemas(records: readonly SavedRecord[]) {
  const schemas: SavedRecord[] = [];
  const known = new Map<readonly FieldInfo[], number>();
  const indexes = records.map((record) => {
    const found = known.get(record.fields);
    if (found !== undefined) {
      const other = schemas[found] as SavedRecord;
      if (other.kind === record.kind && other.version === record.version && other.compat === record.compat) {
        return found;
      }
    }
    known.set(record.fields, schemas.length);
    return schemas.push(record) - 1;
  });
  return { schemas, indexes };
}

function encodeIndex(header: StateHeader, records: readonly SavedRecord[]): Uint8Array {
  const { schemas, indexes } = collectSchemas(records);
  const index = {
    header,
    schemas: schemas.map(({ kind, version, compat, fields }) => ({
      kind,
      version,
      compat,
      fields: fields.map(({ name, type, offset, size }) => [name, type, offset, size]),
    })),
    records: records.map(({ name, data }, i) => [name, indexes[i], data.length]),
  };
  return Buffer.from(JSON.stringify(index));
}

/**
 * Writes a state.
 *
 * @throws CprError `state-invalid` above 256 MiB.
 */
export function encodeState(header: StateHeader, records: readonly SavedRecord[]): Uint8Array<ArrayBuffer> {
  const index = encodeIndex(header, records);
  let end = 4 + index.length;
  const offsets = records.map(({ data }) => {
    const at = align(end);
    end = at + data.length;
    return at;
  });
  const whole = new Uint8Array(new ArrayBuffer(ENVELOPE_SIZE + end));
  new DataView(whole.buffer).setUint32(ENVELOPE_SIZE, index.length, true);
  whole.set(index, ENVELOPE_SIZE + 4);
  records.forEach(({ data }, i) => void whole.set(data, ENVELOPE_SIZE + (offsets[i] as number)));
  sealEnvelope(FORMAT, whole);
  return whole;
}

function decodeField(value: Json, part: string): FieldInfo {
  const [name, type, offset, size] = check.array(value, part, 4);
  return {
    name: check.string(name, `${part} name`, MAX_NAME),
    type: check.string(type, `${part} type`, MAX_NAME),
    offset: check.integer(offset, `${part} offset`, 0, FORMAT.limit),
    size: check.integer(size, `${part} size`, 0, FORMAT.limit),
  };
}

function decodeSchema(value: Json, index: number): Schema & { readonly needed: number } {
  const schema = check.object(value, `schema ${index}`);
  const kind = check.string(schema.kind, `kind of schema ${index}`, MAX_NAME);
  const fields = check
    .array(schema.fields, `the fields of ${kind}`, MAX_FIELDS)
    .map((field, i) => decodeField(field, `field ${i} of ${kind}`));
  return {
    kind,
    version: check.integer(schema.version, `the version of ${kind}`, 1),
    compat: check.integer(schema.compat, `the compat version of ${kind}`, 1),
    fields,
    needed: fields.reduce((most, { offset, size }) => Math.max(most, offset + size), 0),
  };
}

export interface DecodedState {
  readonly header: StateHeader;
  /** Their `data` are views of the bytes that were decoded. */
  readonly records: readonly SavedRecord[];
}

/**
 * Reads a state.
 *
 * @throws CprError `state-*`: each way in which the bytes are not a state that this program reads has its own message.
 */
export function decodeState(whole: Uint8Array): DecodedState {
  const contents = openEnvelope(FORMAT, whole);
  const index = parseIndex(contents);
  const schemas = check.array(index.schemas, "schemas", MAX_RECORDS).map(decodeSchema);
  let end = index.end;
  const names = new Set<string>();
  const records = check.array(index.records, "records", MAX_RECORDS).map((value, i): SavedRecord => {
    const [name_, schema_, length_] = check.array(value, `record ${i}`, 3);
    const name = check.string(name_, `the name of record ${i}`, MAX_NAME);
    if (names.has(name)) check.fail(`record "${name}"`, "the only one of its name");
    names.add(name);
    const schema = schemas[check.integer(schema_, `the schema of "${name}"`, 0, schemas.length - 1)];
    if (!schema) return check.fail(`the schema of "${name}"`, "there");
    const at = align(end);
    const length = check.integer(length_, `the length of "${name}"`, 0, Math.max(0, contents.length - at));
    if (length < schema.needed) check.fail(`record "${name}"`, `long enough for its fields`);
    end = at + length;
    const { kind, version, compat, fields } = schema;
    return { name, kind, version, compat, fields, data: contents.subarray(at, end) };
  });
  return { header: checkHeader(index.header), records };
}

function parseIndex(contents: Uint8Array): JsonObject & { readonly end: number } {
  const length =
    contents.length < 4 ? -1 : Buffer.from(contents.buffer, contents.byteOffset, 4).readUInt32LE();
  if (length < 0 || 4 + length > contents.length) check.fail("the index", "there");
  let index: unknown;
  try {
    index = JSON.parse(new TextDecoder().decode(contents.subarray(4, 4 + length)));
  } catch {
    check.fail("the index", "JSON");
  }
  return { ...check.object(index, "the index"), end: 4 + length };
}
