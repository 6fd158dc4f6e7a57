import { expect, test } from "bun:test";
import { statSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fdScope } from "../test/scope.ts";
import { eventfd } from "./event.ts";
import { close, dup, open, pipe } from "./fd.ts";
import { memfdCreate } from "./memfd.ts";
import { bindUnix, socketUnix } from "./socket.ts";
import { fchmod, fdPath, fstat, ftruncate, openFds, setModified } from "./stat.ts";
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "./uapi/fcntl.ts";

test("fstat tells the kinds apart", () => {
  using fds = fdScope();
  const [reader] = fds.ownAll(pipe());
  const kinds = {
    memfd: fds.own(memfdCreate("kind", 0)),
    folder: fds.own(open("/", O_DIRECTORY | O_CLOEXEC)),
    zero: fds.own(open("/dev/zero", O_RDONLY | O_CLOEXEC)),
    reader,
    socket: fds.own(socketUnix()),
    event: fds.own(eventfd()),
  };
  expect(Object.values(kinds).map((fd) => fstat(fd).kind)).toEqual([
    "file",
    "directory",
    "character device",
    "pipe",
    "socket",
    "anonymous",
  ]);
});

test("fstat agrees with the file system's own view", () => {
  using fds = fdScope();
  const fd = fds.own(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  const expected = statSync("/etc/passwd", { bigint: true });
  const actual = fstat(fd);
  expect(actual.dev).toBe(expected.dev);
  expect(actual.ino).toBe(expected.ino);
  expect(actual.uid).toBe(Number(expected.uid));
  expect(actual.size).toBe(Number(expected.size));
  expect(actual.mode).toBe(Number(expected.mode));
  const zero = fds.own(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  expect(fstat(zero).rdev).toBe(statSync("/dev/zero", { bigint: true }).rdev);
});

test("setModified sets the time of the last change, to the nanosecond or to now, and not that of the access", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("time", 0));
  const times = () => statSync(`/proc/self/fd/${fd}`, { bigint: true });
  const { atimeNs } = times();
  setModified(fd, 1_234_567_890_123_456_789n);
  expect(fstat(fd).modifiedNs).toBe(1_234_567_890_123_456_789n);
  expect(times()).toMatchObject({ mtimeNs: 1_234_567_890_123_456_789n, atimeNs });
  setModified(fd);
  expect(fstat(fd).modifiedNs).toBeGreaterThanOrEqual(atimeNs);
});

test("fchmod sets the permissions of an open file", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("mode", 0));
  fchmod(fd, 0o640);
  expect(fstat(fd).mode & 0o7777).toBe(0o640);
});

test("fchmod before bind makes a socket that only its owner can use", () => {
  using fds = fdScope();
  const path = join(tmpdir(), `vmm-fchmod-${process.pid}.sock`);
  const fd = fds.own(socketUnix());
  fchmod(fd, 0o600);
  bindUnix(fd, path);
  try {
    expect(statSync(path).mode & 0o7777).toBe(0o600);
  } finally {
    unlinkSync(path);
  }
});

test("ftruncate sets sizes beyond 4 GiB and back to nothing", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("size", 0));
  ftruncate(fd, 5 * 2 ** 30 + 1);
  expect(fstat(fd).size).toBe(5 * 2 ** 30 + 1);
  ftruncate(fd, 0);
  expect(fstat(fd).size).toBe(0);
  expect(() => ftruncate(fd, -1)).toThrow(`ftruncate fd ${fd}: EINVAL`);
});

test("fdPath names files and what has no path", () => {
  using fds = fdScope();
  expect(fdPath(fds.own(open("/dev/zero", O_RDONLY)))).toBe("/dev/zero");
  expect(fdPath(fds.own(memfdCreate("ram", 0)))).toBe("/memfd:ram (deleted)");
  expect(fdPath(fds.own(eventfd()))).toBe("anon_inode:[eventfd]");
  expect(() => fdPath(999_999)).toThrow("readlink fd 999999: ENOENT");
});

test("openFds lists every fd once, ascending, and not its own", () => {
  const fd = memfdCreate("list", 0);
  const many = Array.from({ length: 500 }, () => dup(fd, 300));
  try {
    const before = openFds();
    expect(before).toEqual([...new Set(before)].sort((a, b) => a - b));
    expect(before).toEqual(expect.arrayContaining([0, 1, 2, fd, ...many]));
    expect(openFds()).toEqual(before);
  } finally {
    for (const each of [fd, ...many]) close(each);
  }
  expect(openFds().filter((each) => each === fd || many.includes(each))).toEqual([]);
});
