/** What readers of records are made from. */
import type { DescribedField, RecordReader, StateValue } from "@vmm/cpr/describe";

/** The bytes of a field, where it is of that kind. */
export function bytesOf(fields: readonly DescribedField[], name: string): Uint8Array | undefined {
  const value = fields.find((field) => field.name === name)?.value;
  return value?.type === "bytes" ? value.bytes : undefined;
}

/** The integer in a field, where it is one. */
export function integerOf(fields: readonly DescribedField[], name: string): bigint | undefined {
  const value = fields.find((field) => field.name === name)?.value;
  return value?.type === "integer" ? value.value : undefined;
}

/** @param size In bytes. */
export function integer(value: number | bigint, size: number): StateValue {
  return { type: "integer", value: BigInt(value), size };
}

/** A little-endian number as wide as the bytes are many. */
export function wide(bytes: Uint8Array): StateValue {
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  return { type: "integer", value, size: bytes.length };
}

/** Adds to fields what their values stand for, where anything is known of that. */
export function withMeanings(
  fields: readonly DescribedField[],
  meanings: Readonly<Record<string, (value: bigint) => string | undefined>>,
): DescribedField[] {
  return fields.map((field) => {
    if (field.value.type !== "integer" || !Object.hasOwn(meanings, field.name)) return field;
    const meaning = meanings[field.name]?.(field.value.value);
    return meaning ? { ...field, meaning } : field;
  });
}

/** A reader that only adds meanings. */
export function meaningReader(
  meanings: Readonly<Record<string, (value: bigint) => string | undefined>>,
): RecordReader {
  return (_record, fields) => withMeanings(fields, meanings);
}

/** What of some bytes no field describes, as a field of its own; nothing where that is all zero. */
export function otherBytes(
  bytes: Uint8Array,
  known: readonly (readonly [offset: number, size: number])[],
): DescribedField[] {
  const rest = bytes.slice();
  for (const [offset, size] of known) rest.fill(0, offset, offset + size);
  return rest.some((byte) => byte !== 0) ? [{ name: "other", value: { type: "bytes", bytes: rest } }] : [];
}
