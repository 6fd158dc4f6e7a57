/** Copies the RAM of a guest that is stopped behind its saved state. */
import type { RamBlock } from "../host.ts";
import type { StateFile } from "../state-file.ts";
import { dataRanges, isZeroPage, PAGE_SIZE, readBlock } from "./block-memory.ts";
import { headerCrc, MAX_RUN, RamRecord, RECORD_END, RECORD_PAGES } from "./format.ts";

/** The bytes of a chunk with all its records: at worst every other page is one. */
const STAGING = MAX_RUN + (MAX_RUN / PAGE_SIZE / 2) * RamRecord.size;

/** Puts records together, a chunk of RAM at a time, and writes them one behind the other. */
class RecordWriter {
  readonly #file: StateFile;
  readonly #staging = new Uint8Array(new ArrayBuffer(STAGING));
  #length = 0;
  #number = 0;
  /** Bytes of pages so far. */
  pages = 0;

  constructor(file: StateFile) {
    this.#file = file;
  }

  run(block: number, offset: number, pages: Uint8Array): void {
    this.#header(RECORD_PAGES, block, offset, pages);
    this.#staging.set(pages, this.#length);
    this.#length += pages.length;
    this.pages += pages.length;
  }

  end(blocks: number): void {
    this.#header(RECORD_END, blocks, this.pages, new Uint8Array(0));
    this.flush();
  }

  flush(): void {
    if (this.#length > 0) this.#file.append(this.#staging.subarray(0, this.#length));
    this.#length = 0;
  }

  #header(type: number, block: number, offset: number, pages: Uint8Array): void {
    const header = RamRecord.at(this.#staging.buffer, this.#length);
    header.type = type;
    header.block = block;
    header.offset = BigInt(offset);
    header.length = pages.length;
    header.crc = Bun.hash.crc32(pages);
    header.number = this.#number++;
    header.header_crc = headerCrc(this.#staging.subarray(this.#length, this.#length + RamRecord.size));
    this.#length += RamRecord.size;
  }
}

/** Writes the runs of pages in a chunk that hold something. */
function writeChunk(writer: RecordWriter, block: number, offset: number, chunk: Buffer): void {
  let start = -1;
  for (let at = 0; at <= chunk.length; at += PAGE_SIZE) {
    const empty = at === chunk.length || isZeroPage(chunk.subarray(at, at + PAGE_SIZE));
    if (!empty && start === -1) start = at;
    if (!empty || start === -1) continue;
    writer.run(block, offset + start, chunk.subarray(start, at));
    start = -1;
  }
  writer.flush();
}

/**
 * Writes all blocks; yields after each MiB that was looked at, with the bytes of pages that were written so far.
 *
 * @param file Stands at the end of the saved state.
 * @param blocks In the order of the header's `ram`; those that stay in place are not there.
 */
export function* writeRam(file: StateFile, blocks: readonly (RamBlock | undefined)[]): Generator<number> {
  const writer = new RecordWriter(file);
  const buffer = Buffer.from(new ArrayBuffer(MAX_RUN));
  for (const [index, block] of blocks.entries()) {
    if (!block) continue;
    for (const { start, end } of dataRanges(block)) {
      for (let offset = start; offset < end; offset += MAX_RUN) {
        const chunk = buffer.subarray(0, Math.min(MAX_RUN, end - offset));
        readBlock(block, offset, chunk);
        writeChunk(writer, index, offset, chunk);
        yield writer.pages;
      }
    }
  }
  writer.end(blocks.length);
}
