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
import { faultPoint } from "../fault.ts";
import { JsonChecker, type JsonObject } from "../json-check.ts";
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

/** Lists of fields as JSON: most of the index, and the same each time. */
const fieldTexts = new WeakMap<readonly FieldInfo[], string>();

function fieldText(fields: readonly FieldInfo[]): string {
  let text = fieldTexts.get(fields);
  if (text === undefined) {
    text = JSON.stringify(fields.map(({ name, type, offset, size }) => [name, type, offset, size]));
    fieldTexts.set(fields, text);
  }
  return text;
}

function encodeIndex(header: StateHeader, records: readonly SavedRecord[]): Uint8Array {
  const { schemas, indexes } = collectSchemas(records);
  const schemaTexts = schemas.map(({ kind, version, compat, fields }) => {
    const rest = `"version":${version},"compat":${compat},"fields":${fieldText(fields)}`;
    return `{"kind":${JSON.stringify(kind)},${rest}}`;
  });
  const recordTexts = records.map(
    ({ name, data }, i) => `[${JSON.stringify(name)},${indexes[i]},${data.length}]`,
  );
  const lists = `"schemas":[${schemaTexts.join()}],"records":[${recordTexts.join()}]`;
  return Buffer.from(`{"header":${JSON.stringify(header)},${lists}}`);
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
  records.forEach(({ data }, i) => {
    faultPoint("save-record");
    whole.set(data, ENVELOPE_SIZE + (offsets[i] as number));
  });
  sealEnvelope(FORMAT, whole);
  return whole;
}

// The path to the guest's next instruction runs through here, once and cold: no text is made before it is needed.

const isName = (value: unknown): value is string => typeof value === "string" && value.length <= MAX_NAME;
const isLength = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= FORMAT.limit;
const isVersion = (value: unknown): value is number => isLength(value) && value > 0;

type Raw = readonly unknown[];
const isList = (value: unknown, limit: number): value is Raw => Array.isArray(value) && value.length <= limit;

function decodeField(value: unknown, kind: string): FieldInfo {
  const [name, type, offset, size] = isList(value, 4) ? value : [];
  if (!isName(name) || !isName(type) || !isLength(offset) || !isLength(size)) {
    return check.fail(`a field of ${kind}`, "a name, a type, an offset and a size");
  }
  return { name, type, offset, size };
}

interface DecodedSchema extends Schema {
  /** Bytes that the fields need. */
  readonly needed: number;
}

function decodeSchema(value: unknown): DecodedSchema {
  const { kind, version, compat, fields } = (value ?? {}) as Record<string, unknown>;
  if (!isName(kind) || !isVersion(version) || !isVersion(compat) || !isList(fields, MAX_FIELDS)) {
    return check.fail("a schema", "a kind, a version, a compat version and fields");
  }
  let needed = 0;
  const decoded = fields.map((field) => {
    const info = decodeField(field, kind);
    needed = Math.max(needed, info.offset + info.size);
    return info;
  });
  return { kind, version, compat, fields: decoded, needed };
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
  const names = new Set<string>();
  let end = index.end;
  const records = check.array(index.records, "records", MAX_RECORDS).map((value): SavedRecord => {
    const [name, number, length] = isList(value, 3) ? value : [];
    const schema = isLength(number) ? schemas[number] : undefined;
    if (!isName(name) || !schema || !isLength(length)) {
      return check.fail("a record", "a name, the number of a schema and a length");
    }
    if (names.has(name)) check.fail(`record "${name}"`, "the only one of its name");
    names.add(name);
    const at = align(end);
    end = at + length;
    if (end > contents.length || length < schema.needed)
      check.fail(`record "${name}"`, "as long as it should be");
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
