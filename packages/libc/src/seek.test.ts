import { expect, test } from "bun:test";
import { close, ftruncate, memfdCreate, nextData, pwriteAll } from "./index.ts";

test("ranges of data are found between holes", () => {
  const fd = memfdCreate("seek", 1);
  try {
    ftruncate(fd, 64 * 4096);
    expect(nextData(fd, 0)).toBeUndefined();
    pwriteAll(fd, new Uint8Array(2 * 4096).fill(1), 8 * 4096);
    pwriteAll(fd, new Uint8Array(1).fill(1), 63 * 4096);
    expect(nextData(fd, 0)).toEqual({ start: 8 * 4096, end: 10 * 4096 });
    expect(nextData(fd, 9 * 4096)).toEqual({ start: 9 * 4096, end: 10 * 4096 });
    expect(nextData(fd, 10 * 4096)).toEqual({ start: 63 * 4096, end: 64 * 4096 });
    expect(nextData(fd, 64 * 4096)).toBeUndefined();
  } finally {
    close(fd);
  }
});

test("what is no fd is told", () => {
  expect(() => nextData(-1, 0)).toThrow("EBADF");
});
