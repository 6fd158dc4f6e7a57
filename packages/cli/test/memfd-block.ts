/** A block of RAM like a guest's, in a memfd. */
import type { RamBlock } from "@vmm/cpr";
import {
  close,
  ftruncate,
  MAP_SHARED,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
} from "@vmm/libc";

export interface MemfdBlock extends Disposable {
  readonly block: RamBlock;
  fill(offset: number, length: number, value: number): void;
}

/** @param size In bytes. */
export function memfdBlock(name: string, size: number): MemfdBlock {
  const fd = memfdCreate(name, MFD_CLOEXEC);
  ftruncate(fd, size);
  const address = mmap({ length: size, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
  return {
    block: { name, size, shared: true, origin: "backend", fd, address },
    fill: (offset, length, value) => void new Uint8Array(memoryView(address + offset, length)).fill(value),
    [Symbol.dispose]() {
      munmap(address, size);
      close(fd);
    },
  };
}
