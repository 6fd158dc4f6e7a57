import { type DescribedField, decodeFields, type RecordReader } from "@vmm/cpr/describe";
import { XSTATE_COMPONENTS, XsaveHead } from "../uapi/xsave.ts";
import { wide, withMeanings } from "./fields.ts";

const SLOT = 16;
/** Bytes of an x87 register, and of the low half of a vector register. */
const WIDTH = { st: 10, xmm: 16 } as const;

function components(bits: bigint): string {
  return XSTATE_COMPONENTS.filter((_, bit) => (bits >> BigInt(bit)) & 1n).join(" ");
}

/** A field per register for a field of all of them. */
function registers(field: DescribedField): DescribedField[] {
  const { name, value } = field;
  if ((name !== "st" && name !== "xmm") || value.type !== "bytes") return [field];
  return Array.from({ length: value.bytes.length / SLOT }, (_, i) => ({
    name: name + i,
    value: wide(value.bytes.subarray(i * SLOT, i * SLOT + WIDTH[name])),
  }));
}

/** The legacy part of an XSAVE area by register. Where the rest lies is for each host's CPUID to say. */
export const readXsave: RecordReader = ({ data }) => {
  if (data.length < XsaveHead.size) return undefined;
  const head = decodeFields(XsaveHead.fields, data, new Map()).flatMap(registers);
  const extended = data.subarray(XsaveHead.size);
  return [
    ...withMeanings(head, { xstate_bv: components }),
    ...(extended.length > 0
      ? [{ name: "extended", value: { type: "bytes", bytes: extended } } as const]
      : []),
  ];
};
