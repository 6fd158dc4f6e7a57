/**
 * The rules by which saved records meet the devices of another version.
 *
 * Records are matched by name. Within a record, fields are matched by name:
 *
 * | saved by | rule |
 * |---|---|
 * | the same version | the fields are the same, by name and type |
 * | an older version | a field that the schema marks as newer (`since`) keeps its reset value; every other must be there. A field that the schema no longer has is dropped |
 * | a newer version | refused, unless the record says that our version can load it (`compat`); then fields that we don't know are dropped, and all of ours must be there |
 *
 * A field whose type changed is refused, but an integer may have grown wider.
 */
import type { FieldInfo, Fields } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import type { SavedRecord } from "./record.ts";
import type { RecordSchema } from "./schema.ts";

const INTEGERS: Readonly<Record<string, { signed: boolean }>> = {
  u8: { signed: false },
  u16: { signed: false },
  u32: { signed: false },
  u64: { signed: false },
  i8: { signed: true },
  i16: { signed: true },
  i32: { signed: true },
  i64: { signed: true },
};

/** Whether every value of `from` is also one of `to`, and `to` is larger. */
function widens(from: FieldInfo, to: FieldInfo): boolean {
  const [a, b] = [INTEGERS[from.type], INTEGERS[to.type]];
  return a !== undefined && b !== undefined && to.size > from.size && (b.signed || !a.signed);
}

const sameType = (a: FieldInfo, b: FieldInfo) => a.type === b.type && a.size === b.size;

function refuse(saved: SavedRecord, why: string): never {
  throw new CprError(
    "record",
    `saved record "${saved.name}" (${saved.kind} version ${saved.version}): ${why}`,
  );
}

function copyField(saved: SavedRecord, from: FieldInfo, to: FieldInfo, target: Uint8Array): void {
  const source = saved.data.subarray(from.offset, from.offset + from.size);
  target.set(source, to.offset);
  if (to.size === from.size) return;
  const negative = INTEGERS[from.type]?.signed && ((source[from.size - 1] ?? 0) & 0x80) !== 0;
  target.fill(negative ? 0xff : 0, to.offset + from.size, to.offset + to.size);
}

/** Which saved field goes to which of ours; throws before anything was written. */
function plan(saved: SavedRecord, schema: RecordSchema): [FieldInfo, FieldInfo][] {
  const theirs = new Map(saved.fields.map((field) => [field.name, field]));
  const pairs: [FieldInfo, FieldInfo][] = [];
  for (const ours of schema.layout.fields) {
    const field = theirs.get(ours.name);
    theirs.delete(ours.name);
    if (!field) {
      const since = schema.since?.[ours.name] ?? 1;
      if (saved.version < since) continue;
      refuse(saved, `field "${ours.name}" is missing`);
    }
    if (!sameType(field, ours) && !widens(field, ours)) {
      refuse(saved, `field "${ours.name}" is ${field.type} and this version has ${ours.type}`);
    }
    pairs.push([field, ours]);
  }
  const [unknown] = theirs.keys();
  if (unknown !== undefined && saved.version === schema.version) {
    refuse(saved, `field "${unknown}" is unknown to this version, which has the same number`);
  }
  return pairs;
}

/** Whether the record was saved by this very layout, as in most updates: then it is loaded by one copy. */
function isOurs(saved: SavedRecord, { version, layout }: RecordSchema): boolean {
  const { fields } = layout;
  if (saved.version !== version || saved.fields.length !== fields.length) return false;
  if (saved.data.length < layout.size) return false;
  return fields.every((ours, i) => {
    const theirs = saved.fields[i] as FieldInfo;
    return theirs.name === ours.name && theirs.offset === ours.offset && sameType(theirs, ours);
  });
}

/**
 * Loads a saved record into a device's own, by the rules above. All is checked before the first byte is written.
 *
 * @param target The device's record, which holds its reset values.
 * @throws CprError `record`, with the rule that was broken.
 */
export function loadRecord<F extends Fields>(
  saved: SavedRecord,
  schema: RecordSchema<F>,
  target: Uint8Array,
): void {
  if (saved.kind !== schema.kind) refuse(saved, `the device of this name is a ${schema.kind}`);
  if (saved.version > schema.version && saved.compat > schema.version) {
    refuse(
      saved,
      `this version knows ${schema.version} and version ${saved.compat} is the oldest that can load it`,
    );
  }
  if (target.length < schema.layout.size)
    throw new RangeError(`${target.length} bytes for ${schema.layout.name}`);
  if (isOurs(saved, schema as unknown as RecordSchema)) {
    target.set(saved.data.subarray(0, schema.layout.size));
    return;
  }
  const pairs = plan(saved, schema as unknown as RecordSchema);
  for (const [from, to] of pairs) copyField(saved, from, to, target);
}

/** A record of the present machine, to be loaded. */
export interface PresentRecord {
  readonly name: string;
}

export interface MatchedRecords<P extends PresentRecord> {
  readonly pairs: readonly { readonly saved: SavedRecord; readonly present: P }[];
  /** One line for each record of the machine that the state does not have. */
  readonly warnings: readonly string[];
}

/**
 * Matches saved records with those of the machine, by name.
 *
 * @throws CprError `record` where a saved record has nobody to load it.
 */
export function matchRecords<P extends PresentRecord>(
  saved: readonly SavedRecord[],
  present: readonly P[],
): MatchedRecords<P> {
  const waiting = new Map(present.map((record) => [record.name, record]));
  const pairs = saved.map((record) => {
    const match = waiting.get(record.name);
    if (!match) refuse(record, "there is no such device in this machine: give it the same configuration");
    waiting.delete(record.name);
    return { saved: record, present: match };
  });
  const warnings = [...waiting.keys()].map(
    (name) => `"${name}" is not in the saved state: it keeps its reset value`,
  );
  return { pairs, warnings };
}
