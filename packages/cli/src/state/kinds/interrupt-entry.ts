/** Entries of the local APIC's vector table and of the IOAPIC's redirection table in words. */
import {
  ACTIVE_LOW,
  DELIVERY_MASK,
  DELIVERY_MODES,
  DELIVERY_PENDING,
  DELIVERY_SHIFT,
  LEVEL_TRIGGERED,
  LOGICAL_DESTINATION,
  MASKED,
  REMOTE_IRR,
  TIMER_MODE_SHIFT,
  TIMER_MODES,
  VECTOR_MASK,
} from "../uapi/apic.ts";

const hex = (value: number) => `0x${value.toString(16)}`;

function common(low: number): string[] {
  const mode = DELIVERY_MODES[(low >> DELIVERY_SHIFT) & DELIVERY_MASK] as string;
  return [
    ...(low & MASKED ? ["masked"] : []),
    `vector ${hex(low & VECTOR_MASK)}`,
    ...(mode === "fixed" ? [] : [mode]),
    ...(low & ACTIVE_LOW ? ["active low"] : []),
    ...(low & LEVEL_TRIGGERED ? ["level"] : []),
    ...(low & DELIVERY_PENDING ? ["pending"] : []),
    ...(low & REMOTE_IRR ? ["remote IRR"] : []),
  ];
}

/** An entry of the local vector table that nobody has set up is masked and otherwise 0. */
const UNUSED = MASKED;

export function describeLvt(value: bigint): string {
  const low = Number(value);
  return low === UNUSED ? "masked" : common(low).join(", ");
}

export function describeTimerLvt(value: bigint): string {
  const mode = TIMER_MODES[(Number(value) >> TIMER_MODE_SHIFT) & 3];
  return `${describeLvt(value)}, ${mode}`;
}

/** A redirection entry of 64 bits. */
export function describeRedirection(value: bigint): string {
  const low = Number(value & 0xffffffffn);
  if (value === BigInt(UNUSED)) return "masked";
  const destination = Number(value >> 56n);
  const where = low & LOGICAL_DESTINATION ? `logical ${hex(destination)}` : `to APIC ${destination}`;
  return [...common(low), where].join(", ");
}
