/** Loads RAM that lies behind a saved state. All of it is checked; a file that was cut short anywhere is refused. */
import { preadAll } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import type { RamBlock } from "../host.ts";
import { blockView, PAGE_SIZE } from "./block-memory.ts";
import { headerCrc, MAX_RUN, RamRecord, RECORD_END, RECORD_PAGES } from "./format.ts";

const truncated = () => new CprError("state-truncated", "the saved state is truncated: its RAM is not whole");
const corrupt = (why: string) => new CprError("state-corrupt", `the saved state is damaged: ${why}`);

/** Where the next pages may lie at the earliest: records come in ascending order, so no page comes twice. */
interface Place {
  block: number;
  offset: number;
}

function checkPages(header: RamRecordView, blocks: readonly (RamBlock | undefined)[], last: Place): RamBlock {
  const { block, length } = header;
  const offset = Number(header.offset);
  const target = blocks[block];
  const ascends = block > last.block || (block === last.block && offset >= last.offset);
  const fits =
    length > 0 && length <= MAX_RUN && length % PAGE_SIZE === 0 && offset % PAGE_SIZE === 0 && ascends;
  if (!target || !fits || offset + length > target.size) throw corrupt("pages lie where there is no RAM");
  return target;
}

type RamRecordView = ReturnType<typeof RamRecord.alloc>;

/**
 * Loads all blocks; yields after each record, with the bytes of pages that were loaded so far.
 *
 * @param at Where the records begin in the file.
 * @param blocks By the index that records name them by; those that are in place are not there.
 * @returns Where the records end.
 * @throws CprError `state-truncated`, `state-corrupt`. What was loaded until then stays.
 */
export function* readRam(
  fd: number,
  at: number,
  blocks: readonly (RamBlock | undefined)[],
): Generator<number, number> {
  const last: Place = { block: 0, offset: 0 };
  let pages = 0;
  for (let number = 0; ; number++) {
    const header = RamRecord.alloc();
    if (preadAll(fd, header.$bytes, at) < RamRecord.size) throw truncated();
    if (header.header_crc !== headerCrc(header.$bytes) || header.number !== number)
      throw corrupt("a record of its RAM does not fit its checksum");
    at += RamRecord.size;
    if (header.type === RECORD_END) {
      if (header.block !== blocks.length || Number(header.offset) !== pages || header.length !== 0)
        throw corrupt("not all of its RAM is there");
      return at;
    }
    if (header.type !== RECORD_PAGES) throw corrupt(`its RAM has a record of type ${header.type}`);
    const block = checkPages(header, blocks, last);
    const offset = Number(header.offset);
    const target = blockView(block, offset, header.length);
    if (preadAll(fd, target, at) < header.length) throw truncated();
    if (Bun.hash.crc32(target) !== header.crc) throw corrupt("pages of RAM do not fit their checksum");
    at += header.length;
    pages += header.length;
    last.block = header.block;
    last.offset = offset + header.length;
    yield pages;
  }
}
