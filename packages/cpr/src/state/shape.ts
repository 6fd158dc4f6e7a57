/**
 * The shape of a state: which records it has, how long they are and what is in them. That is all of the index but the header.
 *
 * A machine's states have the same shape each time, and the guest stands still while they are written and read. So the shape
 * that was written last is remembered here, and the one that was read last in `read-index.ts`.
 */
import type { FieldInfo } from "@vmm/libc";
import type { SavedRecord } from "./record.ts";

/** The most bytes of a state. */
export const MAX_STATE = 256 << 20;
/** The most records of a state. */
export const MAX_RECORDS = 1 << 16;
/** The most fields of a record. */
export const MAX_FIELDS = 4096;
/** The most fields of all records together. */
export const MAX_ALL_FIELDS = 1 << 18;
/** The longest name of a record or a field, and the longest kind. */
export const MAX_NAME = 255;

/** A record without its bytes. */
export interface RecordShape {
  readonly name: string;
  readonly schema: Schema;
  /** Bytes. */
  readonly length: number;
}

export interface Schema {
  readonly kind: string;
  readonly version: number;
  readonly compat: number;
  readonly fields: readonly FieldInfo[];
}

/** Records that share their list of fields share its description. */
function collectSchemas(records: readonly SavedRecord[]) {
  const schemas: Schema[] = [];
  const known = new Map<readonly FieldInfo[], number>();
  const indexes = records.map(({ kind, version, compat, fields }) => {
    const found = known.get(fields);
    if (found !== undefined) {
      const other = schemas[found] as Schema;
      if (other.kind === kind && other.version === version && other.compat === compat) return found;
    }
    known.set(fields, schemas.length);
    return schemas.push({ kind, version, compat, fields }) - 1;
  });
  return { schemas, indexes };
}

const fieldText = (fields: readonly FieldInfo[]): string =>
  JSON.stringify(fields.map(({ name, type, offset, size }) => [name, type, offset, size]));

let written: { readonly records: readonly RecordShape[]; readonly bytes: Uint8Array } | undefined;

const isOfShape = (records: readonly SavedRecord[], shape: readonly RecordShape[]): boolean =>
  records.length === shape.length &&
  records.every(({ name, kind, version, compat, fields, data }, i) => {
    const { name: itsName, schema, length } = shape[i] as RecordShape;
    if (name !== itsName || data.length !== length || fields !== schema.fields) return false;
    return kind === schema.kind && version === schema.version && compat === schema.compat;
  });

/** The entries of the index that tell the shape, as bytes of text; not to be changed. */
export function shapeBytes(records: readonly SavedRecord[]): Uint8Array {
  if (written && isOfShape(records, written.records)) return written.bytes;
  const { schemas, indexes } = collectSchemas(records);
  const schemaTexts = schemas.map(({ kind, version, compat, fields }) => {
    const rest = `"version":${version},"compat":${compat},"fields":${fieldText(fields)}`;
    return `{"kind":${JSON.stringify(kind)},${rest}}`;
  });
  const shape = records.map(({ name, data }, i) => ({
    name,
    schema: schemas[indexes[i] as number] as Schema,
    length: data.length,
  }));
  const recordTexts = shape.map(({ name, length }, i) => `[${JSON.stringify(name)},${indexes[i]},${length}]`);
  const bytes = Buffer.from(`"schemas":[${schemaTexts.join()}],"records":[${recordTexts.join()}]`);
  written = { records: shape, bytes };
  return bytes;
}
