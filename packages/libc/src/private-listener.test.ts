import { afterEach, beforeEach, expect, test } from "bun:test";
import { lstatSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close } from "./fd.ts";
import { connectIfListening, listenPrivate, PathTakenError } from "./private-listener.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM } from "./uapi/socket.ts";

const FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK;

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-listen-"));
  path = join(folder, "socket");
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([SOCK_STREAM, SOCK_SEQPACKET])("a socket of type %d is its user's alone", (kind) => {
  const fd = listenPrivate(path, kind | FLAGS, 1);
  expect(lstatSync(path).mode & 0o777).toBe(0o600);
  const connection = connectIfListening(path, kind | FLAGS);
  expect(connection).toBeNumber();
  close(connection as number);
  close(fd);
});

test("takes the place of a socket that a dead process left, and of no other", () => {
  const type = SOCK_STREAM | FLAGS;
  close(listenPrivate(path, type, 1));
  expect(connectIfListening(path, type)).toBeUndefined();
  const fd = listenPrivate(path, type, 1);
  expect(() => listenPrivate(path, type, 1)).toThrow(
    new PathTakenError(`${path} is in use: another process listens there`),
  );
  close(fd);
});

test("leaves what is no socket where it is", () => {
  writeFileSync(path, "mine");
  expect(() => listenPrivate(path, SOCK_STREAM | FLAGS, 1)).toThrow(`${path} exists and is not a socket`);
  expect(Bun.file(path).size).toBe(4);
});
