/** The fields of a saved record as values, by what the record says of itself: the code that wrote it is not needed. */
import type { SavedRecord } from "@vmm/cpr";
import type { FieldInfo } from "@vmm/libc";

/** Numbers as they are, 64-bit ones as bigint; lists of them; anything else as its bytes. */
export type FieldValue = number | bigint | readonly (number | bigint)[] | Uint8Array;

type Reader = (view: DataView, offset: number) => number | bigint;

const READERS: Readonly<Record<string, readonly [size: number, read: Reader]>> = {
  u8: [1, (view, at) => view.getUint8(at)],
  i8: [1, (view, at) => view.getInt8(at)],
  u16: [2, (view, at) => view.getUint16(at, true)],
  i16: [2, (view, at) => view.getInt16(at, true)],
  u32: [4, (view, at) => view.getUint32(at, true)],
  i32: [4, (view, at) => view.getInt32(at, true)],
  u64: [8, (view, at) => view.getBigUint64(at, true)],
  i64: [8, (view, at) => view.getBigInt64(at, true)],
};

/** A field's value: type codes are those of libc's layouts, such as `u32` and `u64[4]`. */
export function fieldValue({ data }: SavedRecord, { type, offset, size }: FieldInfo): FieldValue {
  const view = new DataView(data.buffer, data.byteOffset + offset, size);
  const match = /^([ui]\d+)(?:\[(\d+)\])?$/.exec(type);
  const [width, read] = READERS[match?.[1] ?? ""] ?? [];
  if (!read || !width || type.startsWith("u8[")) return data.subarray(offset, offset + size);
  if (match?.[2] === undefined) return read(view, 0);
  return Array.from({ length: Math.min(Number(match[2]), size / width) }, (_, i) => read(view, i * width));
}

/** For JSON: bigints as decimal text, bytes as hex. */
export function plainValue(value: FieldValue): unknown {
  if (value instanceof Uint8Array) return value.toHex();
  if (typeof value === "bigint") return String(value);
  return typeof value === "number"
    ? value
    : value.map((item) => (typeof item === "bigint" ? String(item) : item));
}

const hex = (value: number | bigint) =>
  value < 0 ? String(value) : value < 10 ? String(value) : `0x${value.toString(16)}`;

/** For people: hex, and of what is long the beginning. */
export function shownValue(value: FieldValue, width: number): string {
  if (!(value instanceof Uint8Array)) {
    const text = typeof value === "object" ? value.map(hex).join(" ") : hex(value);
    return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
  }
  if (value.every((byte) => byte === 0)) return `${value.length} bytes of 0`;
  const room = Math.max(1, Math.floor((width - 16) / 2));
  if (value.length <= room) return value.toHex();
  return `${value.subarray(0, room).toHex()}… ${value.length} bytes`;
}
