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

/** How many more values a description may have: one takes a hundred times as much memory as what it stands for. */
export interface Budget {
  left: number;
}

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

/** What decoding goes by. */
interface Means {
  readonly known: KnownLayouts;
  readonly budget: Budget;
}

function list(code: string, bytes: Uint8Array, means: Means, depth: number): StateValue | undefined {
  const [, element, text] = /^(.+)\[(\d+)\]$/s.exec(code) ?? [];
  const count = Number(text);
  const size = bytes.length / count;
  if (element === undefined || element === "u8" || !Number.isInteger(size) || size === 0) return undefined;
  if (count > means.budget.left) return undefined;
  const items: StateValue[] = [];
  for (let i = 0; i < count; i++) {
    const item = decode(element, bytes.subarray(i * size, (i + 1) * size), means, depth + 1);
    // the elements are alike: what one is not, none is
    if (item.type === "bytes") return undefined;
    items.push(item);
    means.budget.left--;
  }
  return { type: "list", items };
}

function decode(code: string, bytes: Uint8Array, means: Means, depth: number): StateValue {
  const scalar = integer(code, bytes);
  if (scalar) return scalar;
  const layout = means.known.get(code);
  if (layout?.size === bytes.length && depth < MAX_DEPTH) {
    return { type: "struct", fields: decodeAll(layout.fields, bytes, means, depth + 1) };
  }
  return list(code, bytes, means, depth) ?? { type: "bytes", bytes };
}

function decodeAll(
  fields: readonly FieldInfo[],
  data: Uint8Array,
  means: Means,
  depth: number,
): DescribedField[] {
  means.budget.left -= fields.length;
  return fields.map(({ name, type, offset, size }) => ({
    name,
    value: decode(type, data.subarray(offset, offset + size), means, depth),
  }));
}

/**
 * Decodes the fields of a structure or a record.
 *
 * @param data Holds all of the fields.
 * @param budget Lists that go beyond it stay bytes.
 */
export function decodeFields(
  fields: readonly FieldInfo[],
  data: Uint8Array,
  known: KnownLayouts,
  budget: Budget = { left: Number.POSITIVE_INFINITY },
): DescribedField[] {
  return decodeAll(fields, data, { known, budget }, 0);
}
