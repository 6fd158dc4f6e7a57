import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FdTable } from "@vmm/cpr";
import {
  dup,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  fstat,
  ftruncate,
  getSeals,
  isCloexec,
  memoryView,
  openFds,
} from "@vmm/libc";
import { newFds } from "@vmm/libc/testing";
import type { MemoryBackendConfig } from "../config/vm-config.ts";
import { createMemoryBackend } from "./create-backend.ts";

const MIB = 2 ** 20;
const base: MemoryBackendConfig = {
  id: "ram0",
  backend: "memfd",
  size: 4 * MIB,
  share: true,
  prealloc: false,
};

let folder = "";
let fdsBefore: number[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-backend-"));
  fdsBefore = openFds();
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  expect(newFds(fdsBefore)).toEqual([]);
});

const mappings = () => readFileSync("/proc/self/maps", "latin1");
const bytesOf = (backend: { address: number; size: number }) =>
  new Uint8Array(memoryView(backend.address, backend.size));

/** A second process's table: the same entries, other numbers. */
function handOver(table: FdTable): FdTable {
  const next = new FdTable();
  for (const { name, id, fd } of table.entries()) next.saveFd(name, id, dup(fd));
  return next;
}

const shareable: MemoryBackendConfig[] = [
  base,
  { ...base, backend: "ram" },
  { ...base, backend: "file", path: "FILE" },
  { ...base, backend: "file", path: "FOLDER" },
];
const at = (config: MemoryBackendConfig): MemoryBackendConfig =>
  config.path ? { ...config, path: config.path === "FILE" ? join(folder, "ram") : folder } : config;

test.each(shareable)("%j: what was written is there when a new VMM makes the backend again", (config) => {
  const table = new FdTable();
  const old = createMemoryBackend(at(config), table);
  expect(old.share).toBe(true);
  expect(table.findFd("ram0")).toBe(old.fd as number);
  expect(isCloexec(old.fd as number)).toBe(true);
  bytesOf(old)[config.size - 1] = 42;
  const next = createMemoryBackend(at(config), handOver(table));
  expect(next.fd).not.toBe(old.fd as number);
  expect(next.address).not.toBe(old.address);
  expect(bytesOf(next)[config.size - 1]).toBe(42);
  bytesOf(next)[0] = 7;
  expect(bytesOf(old)[0]).toBe(7);
  next.close();
  old.close();
  expect(table.size).toBe(0);
});

test.each([
  { ...base, share: false },
  { ...base, backend: "ram", share: false },
  { ...base, backend: "file", path: "FILE", share: false },
] as MemoryBackendConfig[])("%j: private RAM says so and is not in the fd table", (config) => {
  const table = new FdTable();
  const backend = createMemoryBackend(at(config), table);
  expect(backend.share).toBe(false);
  expect(table.size).toBe(0);
  bytesOf(backend)[0] = 1;
  if (config.path) expect(readFileSync(join(folder, "ram"))[0]).toBe(0);
  backend.close();
});

test("a memfd is sealed against shrinking and growing", () => {
  const backend = createMemoryBackend(base, new FdTable());
  const fd = backend.fd as number;
  expect(getSeals(fd) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)).toBe(
    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
  );
  expect(() => ftruncate(fd, MIB)).toThrow("EPERM");
  backend.close();
});

test("prealloc has every page present before the guest runs", () => {
  const backend = createMemoryBackend({ ...base, prealloc: true }, new FdTable());
  expect(statSync(`/proc/self/fd/${backend.fd}`).blocks * 512).toBe(base.size);
  backend.close();
});

test("prealloc of more than the host has is refused before the kernel kills for it", () => {
  const size = 2 ** 44;
  expect(() => createMemoryBackend({ ...base, size, prealloc: true }, new FdTable())).toThrow(
    'memory backend "ram0" (memfd, 16T): prealloc=on needs it all now',
  );
});

test("RAM from a live update whose size is another is refused, and the fd left to its owner", () => {
  const table = new FdTable();
  const old = createMemoryBackend(base, table);
  expect(() => createMemoryBackend({ ...base, size: 8 * MIB }, table)).toThrow(
    "the live update brought a file of 4M",
  );
  expect(fstat(old.fd as number).size).toBe(4 * MIB);
  old.close();
});

test("a backend that fails to map or to be saved leaves no mapping, no fd and no entry", () => {
  const table = new FdTable();
  const unnamed = { ...base, id: "" };
  expect(() => createMemoryBackend(unnamed, table)).toThrow("1 to 255");
  const impossible = { ...base, id: "impossible", size: 2 ** 50 };
  expect(() => createMemoryBackend(impossible, table)).toThrow('memory backend "impossible"');
  expect(mappings()).not.toContain("/memfd: ");
  expect(mappings()).not.toContain("/memfd:impossible");
  expect(table.size).toBe(0);
});

test("a file is made with the right size and only for us; one of that size is used as it is", () => {
  const path = join(folder, "ram");
  const config: MemoryBackendConfig = { ...base, backend: "file", path };
  const first = createMemoryBackend(config, new FdTable());
  bytesOf(first)[5] = 5;
  first.close();
  expect(statSync(path).size).toBe(base.size);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const second = createMemoryBackend(config, new FdTable());
  expect(bytesOf(second)[5]).toBe(5);
  second.close();
});

test("a file that another VM writes to is refused by its name, until that VM and its successor have ended", () => {
  const path = join(folder, "ram");
  const config: MemoryBackendConfig = { ...base, backend: "file", path };
  const inUse = `another VM uses ${path}: end that VM first`;
  const table = new FdTable();
  const old = createMemoryBackend(config, table);
  expect(() => createMemoryBackend(config, new FdTable())).toThrow(inUse);
  expect(() => createMemoryBackend({ ...config, share: false }, new FdTable())).toThrow(inUse);
  const next = createMemoryBackend(config, handOver(table));
  old.close();
  expect(() => createMemoryBackend(config, new FdTable())).toThrow(inUse);
  expect(existsSync(path)).toBe(true);
  next.close();
  createMemoryBackend(config, new FdTable()).close();
});

test("a file that private RAM begins with may serve many, and none that would write to it", () => {
  const path = join(folder, "ram");
  const config: MemoryBackendConfig = { ...base, backend: "file", path, share: false };
  const one = createMemoryBackend(config, new FdTable());
  const two = createMemoryBackend(config, new FdTable());
  expect(() => createMemoryBackend({ ...config, share: true }, new FdTable())).toThrow("another VM uses");
  one.close();
  two.close();
});

test("what a file held before can be made zeros, and private RAM leaves the file alone", () => {
  const path = join(folder, "ram");
  for (const more of [{}, { prealloc: true }, { share: false }]) {
    const held = Buffer.alloc(base.size);
    held.fill(3, 5000, 9000);
    held[base.size - 1] = 4;
    writeFileSync(path, held);
    const backend = createMemoryBackend({ ...base, backend: "file", path, ...more }, new FdTable());
    expect(bytesOf(backend)[5000]).toBe(3);
    backend.earlier?.empty();
    expect(held.fill(0).equals(bytesOf(backend))).toBe(true);
    expect(statSync(path).size).toBe(base.size);
    expect(readFileSync(path)[5000]).toBe(backend.share ? 0 : 3);
    bytesOf(backend)[5000] = 9;
    expect(readFileSync(path)[5000]).toBe(backend.share ? 9 : 3);
    backend.close();
  }
  rmSync(path);
  const made = createMemoryBackend({ ...base, backend: "file", path }, new FdTable());
  expect(made.earlier).toBeUndefined();
  made.close();
});

test("an empty file is given its size, and one of another size is refused unchanged", () => {
  const path = join(folder, "ram");
  writeFileSync(path, "");
  createMemoryBackend({ ...base, backend: "file", path }, new FdTable()).close();
  expect(statSync(path).size).toBe(base.size);
  const grown = { ...base, backend: "file", size: 8 * MIB, path } as const;
  expect(() => createMemoryBackend(grown, new FdTable())).toThrow("has 4M: make size the same");
  expect(statSync(path).size).toBe(base.size);
});

test("a file system without room is told, and no file stays", () => {
  const path = join(folder, "ram");
  const size = 2 ** 50;
  expect(() => createMemoryBackend({ ...base, backend: "file", path, size }, new FdTable())).toThrow("free");
  expect(existsSync(path)).toBe(false);
});

test("a path that cannot hold a file is refused by name", () => {
  const config = (path: string): MemoryBackendConfig => ({ ...base, backend: "file", path });
  expect(() => createMemoryBackend(config(join(folder, "no", "ram")), new FdTable())).toThrow(
    `there is no folder for ${folder}/no/ram`,
  );
  expect(() => createMemoryBackend(config("/dev/null"), new FdTable())).toThrow(
    "character device, not a file",
  );
});

test("epc is refused with its reason", () => {
  expect(() => createMemoryBackend({ ...base, backend: "epc" }, new FdTable())).toThrow("SGX enclave pages");
});

const poolIsEmpty = readFileSync("/proc/meminfo", "latin1").match(/HugePages_Free:\s+0\b/) !== null;
test.skipIf(!poolIsEmpty)("no free huge page is told with what would give some (needs an empty pool)", () => {
  for (const backend of ["memfd", "ram"] as const) {
    for (const share of [true, false]) {
      const config: MemoryBackendConfig = { ...base, backend, share, hugepages: "2M" };
      expect(() => createMemoryBackend(config, new FdTable())).toThrow(
        /not enough free huge pages of 2M; 2 are needed: echo 2 > |this host has no huge pages of 2M/,
      );
    }
  }
});
