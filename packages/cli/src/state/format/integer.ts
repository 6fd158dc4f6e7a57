/** Integers as people want to see them: in hex, and in decimal where that says more. */
import type { IntegerValue } from "@vmm/cpr/describe";

/** Larger ones are addresses, counters and bit patterns: nobody reads them in decimal. */
const LARGEST_IN_DECIMAL = 10n ** 15n;

export function hex({ value, size }: IntegerValue): string {
  return `0x${BigInt.asUintN(size * 8, value).toString(16)}`;
}

/** Such as `7`, `0x1c2 (450)`, `0xffff800000000000`, `-3`. */
export function formatInteger(integer: IntegerValue): string {
  const { value } = integer;
  const magnitude = value < 0n ? -value : value;
  if (magnitude < 10n) return String(value);
  if (magnitude >= LARGEST_IN_DECIMAL) return value < 0n ? `-0x${magnitude.toString(16)}` : hex(integer);
  return value < 0n ? `${value}` : `${hex(integer)} (${value})`;
}
