/** Where a saved state has the guest's RAM: in the same file behind it, or in place in a file of its own. */
import { CprError } from "../cpr-error.ts";
import type { RamBlock } from "../host.ts";
import type { Json, JsonChecker } from "../json-check.ts";

/** A page by its offset in bytes and the CRC-32 of its contents: tells the file that was left from any other. */
export type PageSample = readonly [offset: number, crc: number];

export type RamPlacement =
  | { readonly name: string; readonly size: number; readonly place: "stream" }
  | {
      readonly name: string;
      readonly size: number;
      readonly place: "file";
      readonly path: string;
      /** When the file was changed last, in ns since 1970, in decimal; older states do not have it. */
      readonly modified?: string;
      readonly samples: readonly PageSample[];
    };

/** The most blocks of RAM that a state can have. */
export const MAX_RAM_BLOCKS = 256;
/** The most pages of a block that are sampled. */
export const MAX_SAMPLES = 64;

const MAX_NAME = 255;
const MAX_CRC = 2 ** 32 - 1;

/** Checks the `ram` of a saved state's header. */
export function checkRam(check: JsonChecker, value: unknown): readonly RamPlacement[] {
  return check.array(value, "ram", MAX_RAM_BLOCKS).map((item, i) => {
    const block = check.object(item, `ram[${i}]`);
    const common = {
      name: check.string(block.name, `ram[${i}].name`, MAX_NAME),
      size: check.integer(block.size, `ram[${i}].size`, 1),
    };
    const place = check.oneOf(block.place, `ram[${i}].place`, ["stream", "file"]);
    if (place === "stream") return { ...common, place };
    const samples = check
      .array(block.samples, `ram[${i}].samples`, MAX_SAMPLES)
      .map((sample) => checkSample(check, sample));
    const { modified } = block;
    const time = modified === undefined ? {} : { modified: check.string(modified, `ram[${i}].modified`, 20) };
    return { ...common, place, path: check.string(block.path, `ram[${i}].path`), ...time, samples };
  });
}

function checkSample(check: JsonChecker, value: Json): PageSample {
  const [offset, crc] = check.array(value, "a sample", 2);
  return [check.integer(offset, "a sample's offset"), check.integer(crc, "a sample's CRC", 0, MAX_CRC)];
}

/**
 * The machine's blocks in the order of the state's.
 *
 * @throws CprError `ram` where the machine has other RAM than the state.
 */
export function matchRam(saved: readonly RamPlacement[], blocks: readonly RamBlock[]): readonly RamBlock[] {
  const present = new Map(blocks.map((block) => [block.name, block]));
  const matched = saved.map(({ name, size }) => {
    const block = present.get(name);
    present.delete(name);
    const has = block ? `this machine's has ${block.size}` : "this machine has no such memory";
    if (block?.size !== size) throw new CprError("ram", `saved RAM "${name}" has ${size} bytes, and ${has}`);
    return block;
  });
  const [extra] = present.keys();
  if (extra !== undefined)
    throw new CprError("ram", `the saved state has no RAM "${extra}", which this machine has`);
  return matched;
}
