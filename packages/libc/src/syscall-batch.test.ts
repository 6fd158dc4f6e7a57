import { expect, test } from "bun:test";
import { E } from "./errno.ts";
import { close } from "./fd.ts";
import { memoryView } from "./memory.ts";
import { SYS, SyscallBatch } from "./syscall-batch.ts";
import { MAP_PRIVATE, PROT_READ } from "./uapi/mman.ts";

const path = (text: string) => new TextEncoder().encode(`${text}\0`);

test("a call uses the result of an earlier one, and every result comes back", () => {
  const name = path("/proc/self/exe");
  const batch = new SyscallBatch([
    { number: SYS.open, args: [name, 0, 0] },
    { number: SYS.mmap, args: [0, 4096, PROT_READ, MAP_PRIVATE, { resultOf: 0 }, 0] },
  ]);
  const [fd, address] = batch.join() as [number, number];
  expect(fd).toBeGreaterThan(2);
  expect(new TextDecoder().decode(new Uint8Array(memoryView(address, 4)).subarray(1))).toBe("ELF");
  close(fd);
});

test("the first call that fails ends the batch", () => {
  const missing = path("/does/not/exist");
  const batch = new SyscallBatch([
    { number: SYS.open, args: [missing, 0, 0] },
    { number: SYS.open, args: [missing, 0, 0] },
  ]);
  expect(batch.join()).toEqual([-E.ENOENT, -E.ECANCELED]);
  expect(batch.join()).toEqual([-E.ENOENT, -E.ECANCELED]);
});
