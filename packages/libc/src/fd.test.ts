import { expect, test } from "bun:test";
import { fdScope } from "../test/scope.ts";
import {
  close,
  dup,
  dup3,
  fcntl,
  flock,
  isCloexec,
  isNonblocking,
  open,
  pipe,
  setCloexec,
  setNonblocking,
} from "./fd.ts";
import { memfdCreate } from "./memfd.ts";
import { fstat, openFds } from "./stat.ts";
import {
  F_GETFL,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "./uapi/fcntl.ts";

test("open hands over flags as they are", () => {
  using fds = fdScope();
  const plain = fds.own(open("/dev/null", O_WRONLY));
  const closing = fds.own(open("/dev/null", O_WRONLY | O_CLOEXEC));
  expect([isCloexec(plain), isCloexec(closing)]).toEqual([false, true]);
  expect(fcntl(plain, F_GETFL) & 3).toBe(O_WRONLY);
});

test("open takes paths beyond ASCII", () => {
  expect(() => open("/nonexistent/é日本😀", O_RDONLY)).toThrow("open /nonexistent/é日本😀: ENOENT");
});

test("open refuses a path with a NUL byte, which C would cut off there", () => {
  expect(() => open("/dev/null\0/etc", O_RDONLY)).toThrow('open "/dev/null\\u0000/etc": EINVAL');
});

test("open says why it failed", () => {
  expect(() => open("/dev/null", O_RDONLY | O_DIRECTORY)).toThrow("open /dev/null: ENOTDIR");
  expect(() => open(`/${"x".repeat(5000)}`, O_RDONLY)).toThrow("ENAMETOOLONG");
});

test("close releases the number", () => {
  const fd = open("/dev/null", O_RDONLY);
  expect(openFds()).toContain(fd);
  close(fd);
  expect(openFds()).not.toContain(fd);
});

test("dup gives the same file on another number, closed by exec", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("dup", 0));
  const copy = fds.own(dup(fd, 200));
  expect(copy).toBeGreaterThanOrEqual(200);
  expect(fstat(copy).ino).toBe(fstat(fd).ino);
  expect([isCloexec(fd), isCloexec(copy)]).toEqual([false, true]);
});

test("dup3 replaces what was there", () => {
  using fds = fdScope();
  const from = fds.own(memfdCreate("from", 0));
  const to = fds.own(open("/dev/null", O_RDWR));
  expect(dup3(from, to, O_CLOEXEC)).toBe(to);
  expect(fstat(to).ino).toBe(fstat(from).ino);
  expect(isCloexec(to)).toBe(true);
  expect(() => dup3(from, from, 0)).toThrow(`dup3 fd ${from} to fd ${from}: EINVAL`);
});

test("CLOEXEC is set and cleared for one fd alone", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("flags", 0));
  const copy = fds.own(dup(fd));
  setCloexec(copy, false);
  setCloexec(fd, true);
  expect([isCloexec(fd), isCloexec(copy)]).toEqual([true, false]);
  setCloexec(fd, false);
  expect(isCloexec(fd)).toBe(false);
});

test("O_NONBLOCK is shared by duplicates", () => {
  using fds = fdScope();
  const [reader] = fds.ownAll(pipe());
  const copy = fds.own(dup(reader));
  setNonblocking(reader, true);
  expect(isNonblocking(copy)).toBe(true);
  setNonblocking(copy, false);
  expect(isNonblocking(reader)).toBe(false);
});

test("an exclusive lock keeps other open files out until it is released", () => {
  using fds = fdScope();
  const a = fds.own(memfdCreate("lock", 0));
  const b = fds.own(open(`/proc/self/fd/${a}`, O_RDWR | O_CLOEXEC));
  expect(flock(a, LOCK_EX | LOCK_NB)).toBe(true);
  expect(flock(b, LOCK_SH | LOCK_NB)).toBe(false);
  flock(a, LOCK_UN);
  expect(flock(b, LOCK_SH | LOCK_NB)).toBe(true);
});

test("calls on a closed fd fail with EBADF and name it", () => {
  expect(() => dup(999_999)).toThrow("dup fd 999999: EBADF");
  expect(() => setCloexec(999_999, true)).toThrow("fcntl fd 999999: EBADF");
  expect(() => flock(999_999, LOCK_EX)).toThrow("flock fd 999999: EBADF");
});
