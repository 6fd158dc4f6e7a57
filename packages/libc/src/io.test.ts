import { expect, test } from "bun:test";
import fc from "fast-check";
import { fdScope } from "../test/scope.ts";
import { open, pipe, setNonblocking } from "./fd.ts";
import { pread, preadAll, preadv, pwrite, pwriteAll, pwritev, read, readAll, write, writeAll } from "./io.ts";
import { memfdCreate } from "./memfd.ts";
import { fstat, ftruncate } from "./stat.ts";
import { O_CLOEXEC, O_RDONLY } from "./uapi/fcntl.ts";

test("a pipe gives what was written, then the end", () => {
  using fds = fdScope();
  const [reader, writer] = fds.ownAll(pipe());
  expect(write(writer, Buffer.from("hello"))).toBe(5);
  fds.close(writer);
  const bytes = new Uint8Array(16);
  expect(read(reader, bytes)).toBe(5);
  expect(Buffer.from(bytes.subarray(0, 5)).toString()).toBe("hello");
  expect(read(reader, bytes)).toBe(0);
});

test("a non-blocking pipe gives undefined when it is empty and when it is full", () => {
  using fds = fdScope();
  const [reader, writer] = fds.ownAll(pipe());
  setNonblocking(reader, true);
  setNonblocking(writer, true);
  expect(read(reader, new Uint8Array(1))).toBeUndefined();
  const page = new Uint8Array(4096);
  let written = 0;
  for (let n = write(writer, page); n !== undefined; n = write(writer, page)) written += n;
  expect(written).toBeGreaterThanOrEqual(4096);
  expect(() => writeAll(writer, page)).toThrow(`write fd ${writer}: EAGAIN`);
});

test("writing where nobody reads fails with EPIPE and does not end the process", () => {
  using fds = fdScope();
  const [reader, writer] = fds.ownAll(pipe());
  fds.close(reader);
  expect(() => write(writer, new Uint8Array(1))).toThrow(`write fd ${writer}: EPIPE`);
});

test("reads and writes at an offset leave the rest of the file alone", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("io", 0));
  expect(pwrite(fd, Buffer.from("abcdef"), 10)).toBe(6);
  expect(pwrite(fd, Buffer.from("XY"), 12)).toBe(2);
  const bytes = Buffer.alloc(6);
  expect(pread(fd, bytes, 10)).toBe(6);
  expect(bytes.toString()).toBe("abXYef");
  expect(pread(fd, bytes, 100)).toBe(0);
});

test("offsets beyond 4 GiB are exact", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("far", 0));
  const far = 6 * 2 ** 30 + 123;
  ftruncate(fd, far + 4);
  pwriteAll(fd, Buffer.from("tail"), far);
  const bytes = Buffer.alloc(8);
  expect(preadAll(fd, bytes, far)).toBe(4);
  expect(bytes.toString("latin1", 0, 4)).toBe("tail");
  expect(fstat(fd).size).toBe(far + 4);
});

test("vectors are written and read in turn, empty and small views among them", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("vector", 0));
  const parts = ["one", "", "three", "x".repeat(100)].map((text) => new Uint8Array(Buffer.from(text)));
  expect(pwritev(fd, parts, 7)).toBe(108);
  const into = [new Uint8Array(8), new DataView(new ArrayBuffer(50)), new Uint8Array(50)];
  expect(preadv(fd, into, 7)).toBe(108);
  const all = Buffer.concat(into.map((v) => new Uint8Array(v.buffer, v.byteOffset, v.byteLength)));
  expect(all.toString()).toBe(`onethree${"x".repeat(100)}`);
});

test("whatever is written in pieces is read back whole", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("pieces", 0));
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(pieces, fc.nat(100_000), (views, offset) => {
      const whole = Buffer.concat(views);
      expect(pwritev(fd, views, offset)).toBe(whole.length);
      const back = new Uint8Array(whole.length);
      expect(preadAll(fd, back, offset)).toBe(whole.length);
      expect(Buffer.from(back).equals(whole)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test("readAll takes a file from where it stands to its end", () => {
  using fds = fdScope();
  const writer = fds.own(memfdCreate("all", 0));
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
  writeAll(writer, bytes);
  expect(readAll(writer)).toHaveLength(0);
  const reader = fds.own(open(`/proc/self/fd/${writer}`, O_RDONLY | O_CLOEXEC));
  expect(Buffer.from(readAll(reader)).equals(bytes)).toBe(true);
});

test("readAll stops at its limit", () => {
  using fds = fdScope();
  for (const [length, limit, fits] of [
    [100, 100, true],
    [101, 100, false],
    [0, 0, true],
  ] as const) {
    const [reader, writer] = fds.ownAll(pipe());
    writeAll(writer, new Uint8Array(length));
    fds.close(writer);
    if (fits) expect(readAll(reader, limit)).toHaveLength(length);
    else expect(() => readAll(reader, limit)).toThrow(`read fd ${reader}: more than ${limit} bytes: EFBIG`);
  }
});
