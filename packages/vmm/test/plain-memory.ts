/** Guest memory without a guest, for tests of what writes to it. */
import {
  close,
  ftruncate,
  MAP_SHARED,
  MFD_CLOEXEC,
  memfdCreate,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
} from "@vmm/libc";
import { GuestMemory } from "../src/memory/guest-memory.ts";

export interface PlainMemory extends Disposable {
  readonly memory: GuestMemory;
}

/** Slots of zeroed memory at the given guest-physical addresses, unmapped when disposed of. */
export function plainMemory(ranges: readonly { gpa: number; size: number }[]): PlainMemory {
  const slots = ranges.map(({ gpa, size }, slot) => {
    const fd = memfdCreate("plain-memory", MFD_CLOEXEC);
    try {
      ftruncate(fd, size);
      const address = mmap({ length: size, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
      return { slot, backend: "plain", gpa, size, address, offset: 0 };
    } finally {
      close(fd);
    }
  });
  return {
    memory: new GuestMemory(slots),
    [Symbol.dispose]: () => {
      for (const { address, size } of slots) munmap(address, size);
    },
  };
}
