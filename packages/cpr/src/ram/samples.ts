/**
 * Samples of RAM that stays in place: to tell, before a guest runs on it, the file that was left from another one of the
 * same size, such as a new one that is empty.
 */
import { CprError } from "../cpr-error.ts";
import type { RamBlock } from "../host.ts";
import { dataRanges, isZeroPage, PAGE_SIZE, readBlock } from "./block-memory.ts";
import { MAX_SAMPLES, type PageSample } from "./placement.ts";

/** The most pages that are looked at to find some that hold something. */
const MAX_LOOKS = 4096;

/** Offsets of at most `MAX_LOOKS` pages that may hold something, spread over the block. */
function candidates(block: RamBlock): number[] {
  const ranges = [...dataRanges(block)];
  const pages = ranges.reduce((sum, { start, end }) => sum + (end - start) / PAGE_SIZE, 0);
  const step = Math.max(1, Math.ceil(pages / MAX_LOOKS));
  const offsets: number[] = [];
  let next = 0;
  let before = 0;
  for (const { start, end } of ranges) {
    const count = (end - start) / PAGE_SIZE;
    for (; next < before + count; next += step) offsets.push(start + (next - before) * PAGE_SIZE);
    before += count;
  }
  return offsets;
}

export function takeSamples(block: RamBlock): readonly PageSample[] {
  const page = Buffer.alloc(PAGE_SIZE);
  const found: PageSample[] = [];
  for (const offset of candidates(block)) {
    readBlock(block, offset, page);
    if (!isZeroPage(page)) found.push([offset, Bun.hash.crc32(page)]);
  }
  const step = Math.max(1, Math.ceil(found.length / MAX_SAMPLES));
  return found.filter((_, i) => i % step === 0);
}

export function notAsItWas({ name }: RamBlock): CprError {
  const help = "it was used or changed since the state was saved, or is another file";
  return new CprError("ram", `RAM "${name}" was left in place, and is not what it was: ${help}`);
}

/** @throws CprError `ram` where the block holds something else than when it was sampled. */
export function checkSamples(block: RamBlock, samples: readonly PageSample[]): void {
  const page = Buffer.alloc(PAGE_SIZE);
  for (const [offset, crc] of samples) {
    if (offset % PAGE_SIZE !== 0 || offset + PAGE_SIZE > block.size)
      throw new CprError("state-invalid", `a sample of RAM "${block.name}" lies outside of it`);
    readBlock(block, offset, page);
    if (Bun.hash.crc32(page) !== crc) throw notAsItWas(block);
  }
}
