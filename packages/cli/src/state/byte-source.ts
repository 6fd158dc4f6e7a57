/** Files and bytes in memory, to be read in parts: a saved state may have GiB of RAM behind it. */
import { openStateFile } from "@vmm/cpr";
import type { ByteSource } from "@vmm/cpr/describe";
import { close, fstat, preadAll } from "@vmm/libc";

export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(offset, into) {
      const part = bytes.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
  };
}

/** A file from `start` on. Disposing of it closes the file. */
export class FileSource implements ByteSource {
  readonly size: number;
  readonly #fd: number;
  readonly #start: number;

  constructor(path: string, start: number) {
    this.#start = start;
    this.#fd = openStateFile(path);
    this.size = Math.max(0, fstat(this.#fd).size - start);
  }

  read(offset: number, into: Uint8Array): number {
    return preadAll(this.#fd, into, this.#start + offset);
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** The first `length` bytes, or as many as there are. */
export function readStart(source: ByteSource, length: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(Math.min(length, source.size)));
  return bytes.subarray(0, source.read(0, bytes));
}
