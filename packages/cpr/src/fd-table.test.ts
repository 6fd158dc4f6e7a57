import { describe, expect, test } from "bun:test";
import { close, isCloexec, O_RDONLY } from "@vmm/libc";
import { FdTable, MAX_FDS } from "./fd-table.ts";

describe("the fd table", () => {
  test("finds what was saved, by name and id", () => {
    const table = new FdTable();
    table.saveFd("ram0", 0, 7);
    table.saveFd("nic0_interrupt", 3, 8);
    expect(table.findFd("ram0")).toBe(7);
    expect(table.findFd("nic0_interrupt", 3)).toBe(8);
    expect(table.findFd("nic0_interrupt", 4)).toBeUndefined();
    expect(table.findFd("ram1")).toBeUndefined();
  });

  test("keeps names with ids apart that look alike", () => {
    const table = new FdTable();
    table.saveFd("1:a", 0, 3);
    table.saveFd("a", 1, 4);
    expect([table.findFd("1:a", 0), table.findFd("a", 1), table.findFd("a", 0)]).toEqual([3, 4, undefined]);
  });

  test("refuses a name twice, and takes it again once it is deleted or resaved", () => {
    const table = new FdTable();
    table.saveFd("ram0", 0, 7);
    expect(() => table.saveFd("ram0", 0, 8)).toThrow('fd "ram0" (id 0) is saved already');
    table.resaveFd("ram0", 0, 8);
    expect(table.findFd("ram0")).toBe(8);
    table.deleteFd("ram0");
    table.deleteFd("ram0");
    table.saveFd("ram0", 0, 9);
    expect(table.entries()).toEqual([{ name: "ram0", id: 0, fd: 9 }]);
  });

  test("refuses names, ids and fds that make no sense", () => {
    const table = new FdTable();
    expect(() => table.saveFd("", 0, 3)).toThrow("has 0 bytes");
    expect(() => table.saveFd("é".repeat(128), 0, 3)).toThrow("has 256 bytes");
    expect(() => table.saveFd("a", -1, 3)).toThrow("id -1");
    expect(() => table.saveFd("a", 1.5, 3)).toThrow("id 1.5");
    expect(() => table.saveFd("a", 0, -1)).toThrow("-1 is not an fd");
    table.saveFd("a".repeat(255), 0, 3);
  });

  test("has room for 4096 fds and says so", () => {
    const table = new FdTable();
    for (let id = 0; id < MAX_FDS; id++) table.saveFd("v", id, id);
    expect(() => table.saveFd("v", MAX_FDS, 5)).toThrow("4096 are already, which is the limit");
    table.resaveFd("v", 5, 99);
  });

  test("walks in the order of saving, while entries are deleted", () => {
    const table = new FdTable();
    for (const name of ["c", "a", "b"]) table.saveFd(name, 0, 3);
    const seen: string[] = [];
    table.cprWalkFd(({ name, id }) => {
      seen.push(name);
      table.deleteFd(name, id);
    });
    expect(seen).toEqual(["c", "a", "b"]);
    expect(table.size).toBe(0);
  });

  test("opens a path once, with CLOEXEC, and finds it after that", () => {
    const table = new FdTable();
    const fd = table.openFd("/proc/self/status", O_RDONLY, "status");
    try {
      expect(isCloexec(fd)).toBe(true);
      expect(table.openFd("/no/such/file", O_RDONLY, "status")).toBe(fd);
    } finally {
      close(fd);
    }
    expect(() => table.openFd("/no/such/file", O_RDONLY, "other")).toThrow("ENOENT");
    expect(table.findFd("other")).toBeUndefined();
  });
});
