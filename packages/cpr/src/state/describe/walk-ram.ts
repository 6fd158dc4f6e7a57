/** Going through the RAM that lies behind a saved state, without a machine to load it into. See `ram/format.ts`. */
import { CprError } from "../../cpr-error.ts";
import { headerCrc, MAX_RUN, RamRecord, RECORD_END, RECORD_PAGES } from "../../ram/format.ts";

/** Something that bytes can be read from at any place. */
export interface ByteSource {
  /** In bytes. */
  readonly size: number;
  /** Fills `into` from `offset` on. @returns How many bytes there were. */
  read(offset: number, into: Uint8Array): number;
}

/** Pages in a row that are in the file. */
export interface RamRun {
  /** The block's index in the header's `ram`. */
  readonly block: number;
  /** Offset in the block, in bytes. */
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
  /** CRC-32 of the pages. */
  readonly crc: number;
  /** Where the pages lie in the source. */
  readonly at: number;
}

const damaged = (why: string) => new CprError("state-corrupt", `the saved state is damaged: ${why}`);

/**
 * The runs of pages, in the order in which they lie there. The pages themselves are not read.
 *
 * @param at Where the RAM begins, in bytes.
 * @param blocks How many blocks the header names.
 * @throws CprError `state-truncated`, `state-corrupt`
 */
export function* walkRam(source: ByteSource, at: number, blocks: number): Generator<RamRun> {
  const record = RamRecord.alloc();
  let pages = 0;
  for (let number = 0; ; number++) {
    if (source.read(at, record.$bytes) < RamRecord.size) {
      throw new CprError("state-truncated", "the saved state is truncated: its RAM is not whole");
    }
    const { type, block, length, crc } = record;
    const offset = Number(record.offset);
    if (record.header_crc !== headerCrc(record.$bytes) || record.number !== number) {
      throw damaged("a record of its RAM does not fit its checksum");
    }
    at += RamRecord.size;
    if (type === RECORD_END) {
      if (block !== blocks || offset !== pages) throw damaged("not all of its RAM is there");
      if (at !== source.size) throw damaged(`${source.size - at} bytes follow its end`);
      return;
    }
    if (type !== RECORD_PAGES || block >= blocks || length === 0 || length > MAX_RUN) {
      throw damaged("pages lie where there is no RAM");
    }
    if (at + length > source.size) {
      throw new CprError("state-truncated", "the saved state is truncated: its RAM is not whole");
    }
    yield { block, offset, length, crc, at };
    at += length;
    pages += length;
  }
}
