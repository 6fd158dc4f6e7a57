import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, dup, openFds } from "@vmm/libc";
import { claimFolder, isClaimed, removeFolder } from "./folder-claim.ts";
import { makeRuntimeRoot, pathsOf, runtimeRoot, vmPaths } from "./runtime-folder.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vmm-claim-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test("a claimed folder is private, in use, and gone once it is released", () => {
  const paths = vmPaths(join(root, "a"));
  const claim = claimFolder(paths, "a");
  expect(statSync(paths.folder).mode & 0o777).toBe(0o700);
  expect(statSync(paths.lock).mode & 0o777).toBe(0o600);
  expect(isClaimed(paths)).toBe(true);
  expect(() => claimFolder(paths, "a")).toThrow('the name "a" is in use');
  claim.release();
  expect(existsSync(paths.folder)).toBe(false);
  expect(isClaimed(paths)).toBe(false);
});

test("a refused claim and a look at a lock leave no fd open", () => {
  const paths = vmPaths(join(root, "a"));
  const claim = claimFolder(paths, "a");
  const before = openFds();
  expect(() => claimFolder(paths, "a")).toThrow("in use");
  isClaimed(paths);
  expect(openFds()).toEqual(before);
  claim.release();
});

test("the folder stays claimed for as long as one duplicate of the lock is open", () => {
  const paths = vmPaths(join(root, "a"));
  const claim = claimFolder(paths, "a");
  const inherited = dup(claim.lockFd);
  close(claim.lockFd);
  expect(isClaimed(paths)).toBe(true);
  close(inherited);
  expect(isClaimed(paths)).toBe(false);
});

test("the folder of a dead VM is taken over with nothing left in it", () => {
  const paths = vmPaths(join(root, "a"));
  mkdirSync(paths.folder);
  for (const path of [paths.lock, paths.qmp, paths.console, paths.config, paths.log])
    writeFileSync(path, "old");
  expect(isClaimed(paths)).toBe(false);
  const claim = claimFolder(paths, "a");
  for (const path of [paths.qmp, paths.console, paths.config, paths.log])
    expect(existsSync(path)).toBe(false);
  claim.release();
});

test("a file that is not ours keeps the folder", () => {
  const paths = vmPaths(join(root, "a"));
  mkdirSync(paths.folder);
  writeFileSync(join(paths.folder, "precious"), "");
  removeFolder(paths);
  expect(existsSync(join(paths.folder, "precious"))).toBe(true);
});

test("VMs live in the session's runtime folder, in /run for root, else in a folder of the user's in /tmp", () => {
  expect(runtimeRoot({ env: { XDG_RUNTIME_DIR: "/run/user/7/" }, uid: 7 })).toBe("/run/user/7/vmm");
  expect(runtimeRoot({ env: {}, uid: 0 })).toBe("/run/vmm");
  expect(runtimeRoot({ env: { XDG_RUNTIME_DIR: "relative" }, uid: 0 })).toBe("/run/vmm");
  expect(runtimeRoot({ env: {}, uid: 987654 })).toBe("/tmp/vmm-987654");
});

test("a root that others can read, or that is a symlink, is refused", () => {
  const uid = process.getuid?.() as number;
  const open = join(root, "open");
  mkdirSync(open, { mode: 0o755 });
  expect(() => makeRuntimeRoot(open, uid)).toThrow("is not private to you");
  const mine = join(root, "mine");
  makeRuntimeRoot(mine, uid);
  makeRuntimeRoot(mine, uid);
  expect(statSync(mine).mode & 0o777).toBe(0o700);
  expect(() => makeRuntimeRoot(mine, uid + 1)).toThrow("is not private to you");
  expect(() => makeRuntimeRoot(join(root, "no", "where"), uid)).toThrow("set XDG_RUNTIME_DIR");
});

test("a name whose sockets would have too long a path is refused", () => {
  expect(() => pathsOf("a".repeat(60), `/${"d".repeat(60)}`)).toThrow("too long");
});
