/** One record of a saved state as lines. */
import type { DescribedField, DescribedRecord } from "@vmm/cpr/describe";
import { KvmRegs, KvmSregs2 } from "@vmm/vmm/accel/kvm/uapi/kvm.ts";
import { plain } from "../../command/text.ts";
import { cpuidLines } from "./cpuid.ts";
import { fieldLines } from "./fields.ts";
import { ends } from "./layout.ts";
import { generalRegisters, systemRegisters } from "./registers.ts";

type Dump = (fields: readonly DescribedField[], full: boolean) => string[];

/** The dump that shows a record better than its fields one by one do. */
function dumpOf({ kind, data, fields }: DescribedRecord): Dump | undefined {
  if (kind === "kvm-regs" && data.length === KvmRegs.size) return generalRegisters;
  if (kind === "kvm-sregs2" && data.length === KvmSregs2.size) return systemRegisters;
  if (kind === "kvm-cpuid" && fields.every(({ name }) => name.startsWith("leaf_"))) return cpuidLines;
  return undefined;
}

/** Such as `uart-16550 version 2, loads in version 1, 44 bytes`. */
export function schemaText({ kind, version, compat, data }: DescribedRecord): string {
  const loads = compat === version ? "" : `, loads in version ${compat}`;
  const size = data.length === 1 ? "1 byte" : `${data.length} bytes`;
  return plain(`${kind} version ${version}${loads}, ${size}`);
}

export function recordLines(record: DescribedRecord, full: boolean): string[] {
  const dump = dumpOf(record);
  const lines = dump ? dump(record.fields, full) : fieldLines(record.fields, full);
  return [...ends(plain(record.name), schemaText(record)), ...lines];
}
