import { type DescribedField, decodeFields, type RecordReader } from "@vmm/cpr/describe";
import { KVM_CPUID_FLAG_SIGNIFCANT_INDEX, KvmCpuid2, KvmCpuidEntry2 } from "@vmm/vmm/accel/kvm/uapi/kvm.ts";

const NO_LAYOUTS = new Map();

/** One entry: `leaf_0x1`, or `leaf_0x4.2` where it depends on ECX. */
function entry(view: DataView, at: number): DescribedField {
  const { offsets, fields, size } = KvmCpuidEntry2;
  const word = (name: "function" | "index" | "flags") => view.getUint32(at + offsets[name], true);
  const leaf = `leaf_0x${word("function").toString(16)}`;
  const hasIndex = word("flags") & KVM_CPUID_FLAG_SIGNIFCANT_INDEX || word("index") !== 0;
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, size);
  const known = fields.filter(({ name }) => name !== "function" && name !== "index");
  return {
    name: hasIndex ? `${leaf}.${word("index").toString(16)}` : leaf,
    value: { type: "struct", fields: decodeFields(known, bytes, NO_LAYOUTS) },
  };
}

/** The entries of a `kvm_cpuid2` block, by leaf. */
export const readCpuid: RecordReader = ({ data }) => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const count = data.length < KvmCpuid2.size ? -1 : view.getUint32(KvmCpuid2.offsets.nent, true);
  if (KvmCpuid2.size + count * KvmCpuidEntry2.size !== data.length) return undefined;
  return Array.from({ length: count }, (_, i) => entry(view, KvmCpuid2.size + i * KvmCpuidEntry2.size));
};
