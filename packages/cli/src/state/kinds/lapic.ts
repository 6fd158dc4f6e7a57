import type { DescribedField, RecordReader } from "@vmm/cpr/describe";
import { APIC_REGISTERS, APIC_VECTOR_SETS, SVR_ENABLED } from "../uapi/apic.ts";
import { bytesOf, integer, otherBytes, withMeanings } from "./fields.ts";
import { describeLvt, describeTimerLvt } from "./interrupt-entry.ts";

const PAGE = 1024;
const VECTORS = 256;

const MEANINGS = {
  id: (value: bigint) => `APIC ${value >> 24n}`,
  svr: (value: bigint) => (value & BigInt(SVR_ENABLED) ? "enabled" : "disabled"),
  lvt_timer: describeTimerLvt,
  lvt_thermal: describeLvt,
  lvt_perf: describeLvt,
  lvt_lint0: describeLvt,
  lvt_lint1: describeLvt,
  lvt_error: describeLvt,
};

/** The vectors of a set, in order. */
function vectors(page: DataView, offset: number): DescribedField["value"] {
  const set: number[] = [];
  for (let vector = 0; vector < VECTORS; vector++) {
    const word = page.getUint32(offset + 16 * (vector >> 5), true);
    if ((word >>> (vector & 31)) & 1) set.push(vector);
  }
  return { type: "list", items: set.map((vector) => integer(vector, 1)) };
}

/** The registers of a `kvm_lapic_state`, and which vectors are in service and requested. */
export const readLapic: RecordReader = (_record, fields) => {
  const bytes = bytesOf(fields, "regs");
  if (bytes?.length !== PAGE) return undefined;
  const page = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const registers = Object.entries(APIC_REGISTERS).map(([name, offset]) => ({
    name,
    value: integer(page.getUint32(offset, true), 4),
  }));
  const sets = Object.entries(APIC_VECTOR_SETS).map(([name, offset]) => ({
    name,
    value: vectors(page, offset),
  }));
  const known = [
    ...Object.values(APIC_REGISTERS).map((offset) => [offset, 4] as const),
    ...Object.values(APIC_VECTOR_SETS).flatMap((at) =>
      Array.from({ length: VECTORS / 32 }, (_, i) => [at + 16 * i, 4] as const),
    ),
  ];
  return [...withMeanings(registers, MEANINGS), ...sets, ...otherBytes(bytes, known)];
};
