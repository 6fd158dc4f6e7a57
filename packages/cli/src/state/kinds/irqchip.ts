import { type DescribedField, decodeFields, type RecordReader } from "@vmm/cpr/describe";
import type { Fields, Layout } from "@vmm/libc";
import { KvmIoapicState, KvmPicState } from "../uapi/irqchip.ts";
import { bytesOf, otherBytes } from "./fields.ts";
import { describeRedirection } from "./interrupt-entry.ts";

/** Reads the chip's own structure out of the union in `kvm_irqchip`. */
function chipReader<F extends Fields>(
  layout: Layout<F>,
  refine: (fields: readonly DescribedField[]) => readonly DescribedField[],
): RecordReader {
  return (_record, fields) => {
    const chip = bytesOf(fields, "chip");
    if (!chip || chip.length < layout.size) return undefined;
    return [
      ...fields.filter(({ name }) => name !== "chip"),
      ...refine(decodeFields(layout.fields, chip, new Map())),
      ...otherBytes(chip, [[0, layout.size]]),
    ];
  };
}

export const readPic = chipReader(KvmPicState, (fields) => fields);

/** One field for each pin, with its redirection entry in words. */
export const readIoapic = chipReader(KvmIoapicState, (fields) =>
  fields.flatMap((field): DescribedField[] => {
    if (field.name !== "redirtbl" || field.value.type !== "list") return [field];
    return field.value.items.map((value, pin) => ({
      name: `pin${pin}`,
      value,
      ...(value.type === "integer" && { meaning: describeRedirection(value.value) }),
    }));
  }),
);
