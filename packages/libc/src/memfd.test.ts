import { expect, test } from "bun:test";
import { fdScope } from "../test/scope.ts";
import { isCloexec } from "./fd.ts";
import { pwrite } from "./io.ts";
import { addSeals, getSeals, memfdCreate } from "./memfd.ts";
import { ftruncate } from "./stat.ts";
import {
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
} from "./uapi/mman.ts";

test("a memfd is closed by exec only when asked", () => {
  using fds = fdScope();
  expect(isCloexec(fds.own(memfdCreate("kept", 0)))).toBe(false);
  expect(isCloexec(fds.own(memfdCreate("closed", MFD_CLOEXEC)))).toBe(true);
});

test("seals hold against resizing and writing, and cannot be added to once sealed", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  expect(getSeals(fd)).toBe(0);
  ftruncate(fd, 4096);
  addSeals(fd, F_SEAL_SHRINK | F_SEAL_GROW);
  expect(getSeals(fd)).toBe(F_SEAL_SHRINK | F_SEAL_GROW);
  expect(() => ftruncate(fd, 0)).toThrow("EPERM");
  expect(() => ftruncate(fd, 8192)).toThrow("EPERM");
  expect(pwrite(fd, Buffer.from("x"), 0)).toBe(1);
  addSeals(fd, F_SEAL_WRITE | F_SEAL_SEAL);
  expect(() => pwrite(fd, Buffer.from("y"), 0)).toThrow(`pwrite fd ${fd}: EPERM`);
  expect(() => addSeals(fd, F_SEAL_GROW)).toThrow(`fcntl F_ADD_SEALS fd ${fd}: EPERM`);
});

test("a memfd made without MFD_ALLOW_SEALING takes no seals", () => {
  using fds = fdScope();
  const fd = fds.own(memfdCreate("open", 0));
  expect(getSeals(fd)).toBe(F_SEAL_SEAL);
  expect(() => addSeals(fd, F_SEAL_GROW)).toThrow("EPERM");
});

test("a bad name or flag is refused", () => {
  expect(() => memfdCreate("x".repeat(250), 0)).toThrow("EINVAL");
  expect(() => memfdCreate("x", 0x4000_0000)).toThrow("memfd_create x: EINVAL");
  expect(() => memfdCreate("a\0b", 0)).toThrow("EINVAL");
});
