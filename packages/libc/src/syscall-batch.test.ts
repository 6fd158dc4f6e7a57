import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { E } from "./errno.ts";
import { close, dup, isCloexec } from "./fd.ts";
import { addressOf, memoryView, munmap } from "./memory.ts";
import { cloneVm, waitpid } from "./process.ts";
import { kill } from "./signal.ts";
import { batchSize, closeAllBut, encodeBatch, SYS, SyscallBatch, walkCode } from "./syscall-batch.ts";
import { timespec } from "./time.ts";
import { MAP_PRIVATE, PROT_READ } from "./uapi/mman.ts";
import { SIGKILL } from "./uapi/signal.ts";

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

test("all fds are closed but some, by as few calls as there are gaps", () => {
  const ranges = (keep: readonly number[]) => closeAllBut(keep).map(({ args }) => args.slice(0, 2));
  const last = 0xffffffff;
  expect(ranges([])).toEqual([[0, last]]);
  expect(ranges([7])).toEqual([
    [0, 6],
    [8, last],
  ]);
  expect(ranges([9, 0, 1, 9, 4])).toEqual([
    [2, 3],
    [5, 8],
    [10, last],
  ]);
  expect(ranges([0, last])).toEqual([[1, last - 1]]);
});

test("a process of its own can make the calls", () => {
  const low = dup(2, 600);
  const high = dup(2, 700);
  const calls = [...closeAllBut([high]), { number: SYS.nanosleep, args: [timespec(60e9).$view] }];
  const buffer = new ArrayBuffer(batchSize(calls.length));
  encodeBatch(calls, { buffer, offset: 0, address: addressOf(buffer) });
  const { pid, stack, stackBytes } = cloneVm(walkCode(), addressOf(buffer));
  try {
    const open = () => readdirSync(`/proc/${pid}/fd`).map(Number);
    const deadline = performance.now() + 10_000;
    while (open().length > 1 && performance.now() < deadline) Bun.sleepSync(1);
    expect(open()).toEqual([high]);
    expect(isCloexec(low)).toBe(true);
  } finally {
    kill(pid, SIGKILL);
    waitpid(pid);
    munmap(stack, stackBytes);
    for (const fd of [low, high]) close(fd);
  }
});
