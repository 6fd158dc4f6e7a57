import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { fdScope } from "../test/scope.ts";
import { pread } from "./io.ts";
import { memfdCreate } from "./memfd.ts";
import {
  addressOf,
  executable,
  MAX_VIEW_LENGTH,
  madvise,
  memoryView,
  mmap,
  mprotect,
  munmap,
} from "./memory.ts";
import { ftruncate } from "./stat.ts";
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from "./uapi/mman.ts";

const RW = PROT_READ | PROT_WRITE;
const PAGE = 4096;
const GIB = 2 ** 30;

test("a shared mapping and its file are the same bytes", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("map", 0));
  ftruncate(fd, 2 * PAGE);
  const address = mmap({ length: PAGE, prot: RW, flags: MAP_SHARED, fd, offset: PAGE });
  try {
    new Uint8Array(memoryView(address, PAGE)).set(Buffer.from("mapped"), 5);
    const bytes = Buffer.alloc(6);
    pread(fd, bytes, PAGE + 5);
    expect(bytes.toString()).toBe("mapped");
  } finally {
    munmap(address, PAGE);
  }
});

test("6 GiB are mapped in one piece and seen through windows", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("large", 0));
  const length = 6 * GIB;
  ftruncate(fd, length);
  const address = mmap({ length, prot: RW, flags: MAP_SHARED | MAP_NORESERVE, fd });
  try {
    expect(() => memoryView(address, MAX_VIEW_LENGTH + 1)).toThrow(RangeError);
    expect(memoryView(address, MAX_VIEW_LENGTH).byteLength).toBe(4 * GIB);
    const last = new Uint8Array(memoryView(address + length - PAGE, PAGE));
    last[PAGE - 1] = 0x5a;
    const byte = new Uint8Array(1);
    expect(pread(fd, byte, length - 1)).toBe(1);
    expect(byte[0]).toBe(0x5a);
  } finally {
    munmap(address, length);
  }
});

test("a mapping goes where it is told, and not over another", () => {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const address = mmap({ length: 4 * PAGE, prot: PROT_NONE, flags });
  try {
    const inner = { address: address + PAGE, length: PAGE, prot: RW };
    expect(mmap({ ...inner, flags: flags | MAP_FIXED })).toBe(address + PAGE);
    expect(() => mmap({ ...inner, flags: flags | MAP_FIXED_NOREPLACE })).toThrow("mmap 4096 bytes: EEXIST");
  } finally {
    munmap(address, 4 * PAGE);
  }
});

test("mmap says what it could not map", () => {
  expect(() => mmap({ length: 0, prot: RW, flags: MAP_PRIVATE | MAP_ANONYMOUS })).toThrow(
    "mmap 0 bytes: EINVAL",
  );
  expect(() => mmap({ length: PAGE, prot: RW, flags: MAP_SHARED, fd: 999_999 })).toThrow(
    "mmap 4096 bytes of fd 999999: EBADF",
  );
  expect(() => munmap(1, PAGE)).toThrow("munmap 4096 bytes at 0x1: EINVAL");
});

test("MADV_DONTNEED empties anonymous pages", () => {
  const address = mmap({ length: PAGE, prot: RW, flags: MAP_PRIVATE | MAP_ANONYMOUS });
  try {
    const words = new Uint32Array(memoryView(address, PAGE));
    words[3] = 77;
    madvise(address, PAGE, MADV_DONTNEED);
    expect(Atomics.load(words, 3)).toBe(0);
    mprotect(address, PAGE, PROT_READ);
    expect(() => mprotect(address + 1, PAGE, RW)).toThrow("mprotect");
    expect(() => madvise(address, PAGE, 12345)).toThrow("EINVAL");
  } finally {
    munmap(address, PAGE);
  }
});

test.each([
  [0, 16],
  [-4096, 16],
  [4096.5, 16],
  [4096, 0],
  [4096, -1],
  [4096, Number.NaN],
])("a view at %d of %d bytes is refused", (address, length) => {
  expect(() => memoryView(address, length)).toThrow(RangeError);
});

test("the address of a small view stays true, through its buffer and a collection", () => {
  const small = new Uint8Array(16).fill(1);
  const address = addressOf(small);
  void small.buffer;
  Bun.gc(true);
  new Uint8Array(memoryView(address, 16))[7] = 99;
  expect(small[7]).toBe(99);
  expect(addressOf(small.subarray(3))).toBe(address + 3);
  expect(addressOf(small.subarray(3, 3))).toBe(0);
});

test("machine code is mapped readable, not writable", () => {
  const code = Uint8Array.of(0x48, 0x89, 0xf8, 0xc3);
  const address = executable(code);
  try {
    expect(new Uint8Array(memoryView(address, 4))).toEqual(code);
    const maps = readFileSync("/proc/self/maps", "latin1");
    expect(maps).toMatch(new RegExp(`^${address.toString(16)}-\\S+ r-xp`, "m"));
  } finally {
    munmap(address, code.length);
  }
});
