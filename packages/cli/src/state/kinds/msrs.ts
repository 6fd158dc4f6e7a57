import type { RecordReader } from "@vmm/cpr/describe";
import { KvmMsrEntry, KvmMsrs } from "@vmm/vmm/accel/kvm/uapi/kvm.ts";
import { msrName } from "../uapi/msr-names.ts";
import { integer } from "./fields.ts";

/** The registers in a `kvm_msrs` block, by name. */
export const readMsrs: RecordReader = ({ data }) => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const count = data.length < KvmMsrs.size ? -1 : view.getUint32(KvmMsrs.offsets.nmsrs, true);
  if (KvmMsrs.size + count * KvmMsrEntry.size !== data.length) return undefined;
  return Array.from({ length: count }, (_, i) => {
    const at = KvmMsrs.size + i * KvmMsrEntry.size;
    const index = view.getUint32(at + KvmMsrEntry.offsets.index, true);
    const value = view.getBigUint64(at + KvmMsrEntry.offsets.data, true);
    return {
      name: msrName(index),
      value: integer(value, 8),
      ...(value !== 0n && { meaning: `MSR 0x${index.toString(16)}` }),
    };
  });
};
