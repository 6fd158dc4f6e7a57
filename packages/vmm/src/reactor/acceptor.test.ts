import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  close,
  connectUnix,
  getrlimit,
  isCloexec,
  isNonblocking,
  openFds,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  setrlimit,
} from "@vmm/libc";
import { newFds } from "@vmm/libc/testing";
import { until } from "../../test/chardev-fixture.ts";
import { VmmError } from "../vmm-error.ts";
import { Acceptor } from "./acceptor.ts";
import { Reactor } from "./reactor.ts";
import { connectIfListening, listenUnix } from "./unix-listener.ts";

let folder: string;
let path: string;
let owned: number[];

const own = (fd: number) => {
  owned.push(fd);
  return fd;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-listen-"));
  path = join(folder, "socket");
  owned = [];
});

afterEach(() => {
  for (const fd of owned) close(fd);
  rmSync(folder, { recursive: true });
});

describe("a listening socket", () => {
  test("is its owner's alone, non-blocking and closed by exec", () => {
    const fd = own(listenUnix(path));
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    expect([isCloexec(fd), isNonblocking(fd)]).toEqual([true, true]);
  });

  test("replaces one that a dead process left", () => {
    close(listenUnix(path));
    expect(connectIfListening(path)).toBeUndefined();
    own(listenUnix(path));
    own(connectIfListening(path) as number);
  });

  test("does not replace one that is alive, nor what is not a socket", () => {
    own(listenUnix(path));
    expect(() => listenUnix(path)).toThrow(
      new VmmError("chardev", `${path} is in use: another process listens there`),
    );
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(() => listenUnix(file)).toThrow("exists and is not a socket");
    const directory = join(folder, "directory");
    mkdirSync(directory);
    expect(() => listenUnix(directory)).toThrow("exists and is not a socket");
  });

  test("leaves no fd behind where it cannot be made", () => {
    const before = openFds();
    expect(() => listenUnix(`${folder}/no/such/socket`)).toThrow("ENOENT");
    expect(() => listenUnix("x".repeat(108))).toThrow("ENAMETOOLONG");
    expect(newFds(before)).toEqual([]);
  });
});

describe("an acceptor", () => {
  const TYPE = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

  test("accepts who comes, and leaves others waiting while it is paused", async () => {
    const reactor = new Reactor();
    try {
      const connections: number[] = [];
      const acceptor = new Acceptor(reactor, own(listenUnix(path)), (fd) => connections.push(own(fd)));
      for (let i = 0; i < 3; i++) own(connectUnix(path, TYPE));
      await until(() => connections.length === 3, "all three");
      expect(connections.every((fd) => isCloexec(fd) && isNonblocking(fd))).toBe(true);
      acceptor.pause();
      own(connectUnix(path, TYPE));
      await Bun.sleep(20);
      expect(connections).toHaveLength(3);
      acceptor.resume();
      await until(() => connections.length === 4, "the fourth");
    } finally {
      await reactor.close();
    }
  });

  test("goes on when there are fds again, after there were none", async () => {
    const reactor = new Reactor();
    const before = getrlimit("NOFILE");
    try {
      const connections: number[] = [];
      new Acceptor(reactor, own(listenUnix(path)), (fd) => connections.push(own(fd)));
      own(connectUnix(path, TYPE));
      await until(() => connections.length === 1, "the first");
      own(connectUnix(path, TYPE));
      setrlimit("NOFILE", { ...before, soft: 3 });
      await Bun.sleep(50);
      expect(connections).toHaveLength(1);
      setrlimit("NOFILE", before);
      await until(() => connections.length === 2, "the second");
    } finally {
      setrlimit("NOFILE", before);
      await reactor.close();
    }
  });
});
