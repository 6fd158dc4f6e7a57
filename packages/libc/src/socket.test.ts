import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newFds } from "../test/new-fds.ts";
import { fdScope } from "../test/scope.ts";
import { isCloexec, isNonblocking } from "./fd.ts";
import { read, write } from "./io.ts";
import { getpid } from "./process.ts";
import {
  accept4,
  bindUnix,
  connectUnix,
  getsockopt,
  listen,
  peerCredentials,
  setsockopt,
  shutdown,
  socketpair,
  socketUnix,
} from "./socket.ts";
import { openFds } from "./stat.ts";
import {
  SHUT_WR,
  SO_RCVBUF,
  SO_TYPE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./uapi/socket.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "socket-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

test("a connection carries bytes both ways and ends", () => {
  using fds = fdScope();
  const path = join(directory, "both-ways");
  const listener = fds.own(socketUnix(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK));
  bindUnix(listener, path);
  listen(listener, 4);
  expect(accept4(listener)).toBeUndefined();
  const client = fds.own(connectUnix(path));
  const server = fds.own(accept4(listener, SOCK_CLOEXEC | SOCK_NONBLOCK) as number);
  expect([isCloexec(server), isNonblocking(server)]).toEqual([true, true]);
  expect([isCloexec(client), isNonblocking(client)]).toEqual([true, false]);

  const bytes = Buffer.alloc(4);
  expect(read(server, bytes)).toBeUndefined();
  write(client, Buffer.from("ping"));
  expect(read(server, bytes)).toBe(4);
  write(server, Buffer.from("pong"));
  expect(read(client, bytes)).toBe(4);
  expect(bytes.toString()).toBe("pong");
  shutdown(client, SHUT_WR);
  expect(read(server, bytes)).toBe(0);
});

test("the peer is known by its credentials", () => {
  using fds = fdScope();
  const [a] = fds.ownAll(socketpair());
  expect(peerCredentials(a)).toEqual({
    pid: getpid(),
    uid: process.getuid?.() as number,
    gid: process.getgid?.() as number,
  });
});

test("a path of 107 bytes fits, one of 108 is refused with the reason", () => {
  using fds = fdScope();
  const longest = join(directory, "x".repeat(107 - directory.length - 1));
  expect(longest).toHaveLength(107);
  const listener = fds.own(socketUnix());
  bindUnix(listener, longest);
  listen(listener, 1);
  fds.own(connectUnix(longest));

  const before = openFds();
  const tooLong = `${longest.slice(0, -1)}é`;
  const reason = `${tooLong} (108 bytes; a socket's path has at most 107): ENAMETOOLONG`;
  expect(() => bindUnix(listener, tooLong)).toThrow(`bind ${reason}`);
  expect(() => connectUnix(tooLong)).toThrow(`connect ${reason}`);
  expect(() => connectUnix("")).toThrow("ENOENT");
  expect(() => connectUnix("/tmp/a\0b")).toThrow("EINVAL");
  expect(newFds(before)).toEqual([]);
});

test("a failed connection leaves no fd behind", () => {
  using fds = fdScope();
  const bound = join(directory, "bound-only");
  bindUnix(fds.own(socketUnix()), bound);
  const before = openFds();
  expect(() => connectUnix(bound)).toThrow(`connect ${bound}: ECONNREFUSED`);
  expect(() => connectUnix(join(directory, "none"))).toThrow("ENOENT");
  expect(newFds(before)).toEqual([]);
  expect(() => bindUnix(fds.own(socketUnix()), bound)).toThrow(`bind ${bound}: EADDRINUSE`);
});

test("options are set and read", () => {
  using fds = fdScope();
  const fd = fds.own(socketUnix(SOCK_SEQPACKET | SOCK_CLOEXEC));
  expect(getsockopt(fd, SOL_SOCKET, SO_TYPE)).toBe(SOCK_SEQPACKET);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, 65_536);
  // The kernel doubles it, for its own bookkeeping (socket(7)).
  expect(getsockopt(fd, SOL_SOCKET, SO_RCVBUF)).toBe(131_072);
  expect(() => getsockopt(fd, SOL_SOCKET, 9999)).toThrow("ENOPROTOOPT");
});
