/**
 * RAM as it lies behind a saved state in the same file: records, each with a run of pages, and one that ends them. Pages
 * of zeros are left out.
 *
 * | offset | size | |
 * |---|---|---|
 * | 0 | 4 | type: 1 pages, 2 end |
 * | 4 | 4 | pages: the block's index in the header's `ram`; end: how many blocks there are |
 * | 8 | 8 | pages: offset in the block in bytes; end: bytes of all pages together |
 * | 16 | 4 | bytes of pages that follow; 0 at the end |
 * | 20 | 4 | CRC-32 of these pages |
 * | 24 | 4 | the record's number, from 0 |
 * | 28 | 4 | CRC-32 of the 28 bytes before |
 */
import { struct, u32, u64 } from "@vmm/libc";

export const RamRecord = struct("vmm_ram_record", {
  type: u32,
  block: u32,
  offset: u64,
  length: u32,
  crc: u32,
  number: u32,
  header_crc: u32,
});

export const RECORD_PAGES = 1;
export const RECORD_END = 2;

/** The most bytes of pages in one record. */
export const MAX_RUN = 1 << 20;

/** Bytes that `header_crc` covers. */
const COVERED = RamRecord.offsets.header_crc;

/** The CRC-32 of a record's header. */
export function headerCrc(header: Uint8Array): number {
  return Bun.hash.crc32(header.subarray(0, COVERED));
}
