/** What a file held before it became a guest's RAM: a saved guest's RAM, in which zeros are left out, needs it empty. */
import type { EarlierContents } from "@vmm/cpr";
import { ftruncate, memoryView } from "@vmm/libc";
import type { MemoryBackendConfig } from "../config/vm-config.ts";

/** Bytes that are looked at together: what is zero already is not written to, and takes no memory. */
const PART = 64 * 1024;
const ZEROS = Buffer.alloc(PART);

function clear(address: number, size: number): void {
  for (let at = 0; at < size; at += PART) {
    const part = new Uint8Array(memoryView(address + at, Math.min(PART, size - at)));
    if (!ZEROS.subarray(0, part.length).equals(part)) part.fill(0);
  }
}

/**
 * @param config Of a backend on a file that held something.
 * @param modifiedNs When the file was changed last, before this process did.
 * @param address Where it is mapped.
 */
export function earlierContents(
  { size, share, prealloc }: MemoryBackendConfig,
  fd: number,
  modifiedNs: bigint,
  address: number,
): EarlierContents {
  return {
    modifiedNs,
    empty() {
      // private RAM must leave the file alone, and what was allocated ahead is to stay so
      if (!share || prealloc) return clear(address, size);
      ftruncate(fd, 0);
      ftruncate(fd, size);
    },
  };
}
