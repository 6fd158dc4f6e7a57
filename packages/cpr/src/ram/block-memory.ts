/** The contents of a block of RAM, read without making pages where there are none. */
import { isSyscallError, memoryView, nextData, preadAll } from "@vmm/libc";
import type { RamBlock } from "../host.ts";

export const PAGE_SIZE = 4096;

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);

/** Whether a page holds nothing but zeros. */
export function isZeroPage(page: Uint8Array): boolean {
  return ZERO_PAGE.equals(page);
}

/** The fd that has the block's contents: of private memory the fd, if there is one, has not. */
const fdOf = ({ shared, fd }: RamBlock): number | undefined => (shared ? fd : undefined);

/** Copies a part of the block. A read by address would make pages of a memfd's holes; one by fd does not. */
export function readBlock(block: RamBlock, offset: number, into: Uint8Array): void {
  const fd = fdOf(block);
  if (fd === undefined) into.set(blockView(block, offset, into.length));
  else preadAll(fd, into, offset);
}

/** A part of the block, in place. */
export function blockView({ address }: RamBlock, offset: number, length: number): Uint8Array {
  return new Uint8Array(memoryView(address + offset, length));
}

/** The parts of the block that may hold something else than zeros, in whole pages, ascending. */
export function* dataRanges(block: RamBlock): Generator<{ readonly start: number; readonly end: number }> {
  const fd = fdOf(block);
  let offset = 0;
  while (fd !== undefined) {
    let range: ReturnType<typeof nextData>;
    try {
      range = nextData(fd, offset);
    } catch (error) {
      // hugetlbfs of older kernels knows no holes
      if (isSyscallError(error, "EINVAL")) break;
      throw error;
    }
    if (!range || range.start >= block.size) return;
    const start = Math.floor(range.start / PAGE_SIZE) * PAGE_SIZE;
    offset = Math.min(Math.ceil(range.end / PAGE_SIZE) * PAGE_SIZE, block.size);
    yield { start, end: offset };
  }
  yield { start: offset, end: block.size };
}
