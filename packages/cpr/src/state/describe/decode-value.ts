/**
 * Decoding a field by the code of its type: `u32`, `i64`, the name of a structure, or either with a count, as in `u8[16]`.
 * What is not known, or does not add up, stays bytes: the description of a state is as wild as the state.
 */
import type { FieldInfo } from "@vmm/libc";
import type { DescribedField, IntegerValue, StateValue } from "./value.ts";

/** What a structure that is the type of a field consists of; a `Layout` is one. */
export interface KnownLayout {
  readonly size: number;
  readonly fields: readonly FieldInfo[];
}

/** Structures by the name that fields have as their type. */
export type KnownLayouts = ReadonlyMap<string, KnownLayout>;

/** Structures within structures within structures are read to this depth: the layouts are the caller's, the names are not. */
const MAX_DEPTH = 8;

const INTEGER = /^([ui])(8|16|32|64)$/;

function integer(code: string, bytes: Uint8Array): IntegerValue | undefined {
  const [, sign, bits] = INTEGER.exec(code) ?? [];
  const size = Number(bits) / 8;
  if (size !== bytes.length) return undefined;
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  return { type: "integer", value: sign === "i" ? BigInt.asIntN(size * 8, value) : value, size };
}

function list(code: string, bytes: Uint8Array, known: KnownLayouts, depth: number): StateValue | undefined {
  const [, element, text] = /^(.+)\[(\d+)\]$/s.exec(code) ?? [];
  const count = Number(text);
  const size = bytes.length / count;
  if (element === undefined || element === "u8" || !Number.isInteger(size) || size === 0) return undefined;
  const items: StateValue[] = [];
  for (let i = 0; i < count; i++) {
    const item = decode(element, bytes.subarray(i * size, (i + 1) * size), known, depth + 1);
    // the elements are alike: what one is not, none is
    if (item.type === "bytes") return undefined;
    items.push(item);
  }
  return { type: "list", items };
}

function decode(code: string, bytes: Uint8Array, known: KnownLayouts, depth: number): StateValue {
  const scalar = integer(code, bytes);
  if (scalar) return scalar;
  const layout = known.get(code);
  if (layout?.size === bytes.length && depth < MAX_DEPTH) {
    return { type: "struct", fields: decodeFields(layout.fields, bytes, known, depth + 1) };
  }
  return list(code, bytes, known, depth) ?? { type: "bytes", bytes };
}

/**
 * Decodes the fields of a structure or a record.
 *
 * @param data Holds all of the fields.
 */
export function decodeFields(
  fields: readonly FieldInfo[],
  data: Uint8Array,
  known: KnownLayouts,
  depth = 0,
): DescribedField[] {
  return fields.map(({ name, type, offset, size }) => ({
    name,
    value: decode(type, data.subarray(offset, offset + size), known, depth),
  }));
}
