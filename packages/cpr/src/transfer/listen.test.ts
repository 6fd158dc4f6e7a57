import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  accept4,
  close,
  listenPrivate,
  openFds,
  peerCredentials,
  read,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
} from "@vmm/libc";
import { newFds } from "@vmm/libc/testing";
import { connectTransfer, TransferListener } from "./listen.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-listen-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a successor of this user is connected to", () => {
  const listener = new TransferListener(join(folder, "cpr"));
  const source = connectTransfer(listener.path);
  const successor = listener.accept(() => {});
  expect(peerCredentials(source).pid).toBe(process.pid);
  close(source);
  close(successor);
});

test("nobody at the path is told with what to do", () => {
  expect(() => connectTransfer(join(folder, "cpr"))).toThrow("start one with --incoming cpr:");
});

const NOBODY = 65534;

/** Listens as another user: who that is counts at listen(2). */
function listenAsNobody(path: string): number {
  chmodSync(folder, 0o777);
  process.seteuid?.(NOBODY);
  try {
    return listenPrivate(path, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 1);
  } finally {
    process.seteuid?.(0);
  }
}

describe.skipIf(process.getuid?.() !== 0)("another user (needs root)", () => {
  test("who listens at the path gets nothing, and is named", () => {
    const path = join(folder, "cpr");
    const listener = listenAsNobody(path);
    const before = openFds();
    const problem = `at ${path} listens process ${process.pid} of another user (uid ${NOBODY})`;
    expect(() => connectTransfer(path)).toThrow(problem);
    expect(newFds(before)).toEqual([]);
    const connection = accept4(listener) as number;
    expect(read(connection, new Uint8Array(1))).toBe(0);
    close(connection);
    close(listener);
  });
});
