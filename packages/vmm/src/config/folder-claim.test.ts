import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, dup, openFds } from "@vmm/libc";
import { newFds } from "@vmm/libc/testing";
import { claimFolder, isClaimed, removeFolder } from "./folder-claim.ts";
import { isOwnFolder } from "./own-folder.ts";
import { checkRuntimeRoot, makeRuntimeRoot, pathsOf, runtimeRoot, vmPaths } from "./runtime-folder.ts";

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
  expect(newFds(before)).toEqual([]);
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

test("a link in a folder's place is never followed, neither to claim it nor to clear it away", () => {
  const [elsewhere, link] = [join(root, "elsewhere"), join(root, "a")];
  mkdirSync(elsewhere);
  const files = ["config.json", "console.sock", "lock", "log", "qmp.sock"];
  for (const name of files) writeFileSync(join(elsewhere, name), "precious");
  symlinkSync(elsewhere, link);
  const before = openFds();
  expect(isOwnFolder(link)).toBe(false);
  removeFolder(vmPaths(link));
  expect(() => claimFolder(vmPaths(link), "a")).toThrow(`${link} is not a folder of yours`);
  expect(readdirSync(elsewhere).sort()).toEqual(files);
  expect([existsSync(link), newFds(before)]).toEqual([true, []]);
});

test.skipIf(process.getuid?.() !== 0)("another user's folder is left alone (needs root)", () => {
  const paths = vmPaths(join(root, "a"));
  mkdirSync(paths.folder);
  writeFileSync(paths.lock, "");
  chownSync(paths.folder, 65534, 65534);
  removeFolder(paths);
  expect(existsSync(paths.lock)).toBe(true);
  expect(() => claimFolder(paths, "a")).toThrow("is not a folder of yours");
});

test("VMs live in the session's runtime folder, in /run for root, else in a folder of the user's in /tmp", () => {
  expect(runtimeRoot({ env: { XDG_RUNTIME_DIR: "/run/user/7/" }, uid: 7 })).toBe("/run/user/7/vmm");
  expect(runtimeRoot({ env: {}, uid: 0 })).toBe("/run/vmm");
  expect(runtimeRoot({ env: { XDG_RUNTIME_DIR: "relative" }, uid: 0 })).toBe("/run/vmm");
  expect(runtimeRoot({ env: {}, uid: 987654 })).toBe("/tmp/vmm-987654");
});

test("a root that others can read, that is another's, or that is a symlink, is refused", () => {
  const uid = process.getuid?.() as number;
  const open = join(root, "open");
  mkdirSync(open, { mode: 0o755 });
  expect(() => makeRuntimeRoot(open, uid)).toThrow("is not private to you");
  const mine = join(root, "mine");
  makeRuntimeRoot(mine, uid);
  makeRuntimeRoot(mine, uid);
  expect(statSync(mine).mode & 0o777).toBe(0o700);
  expect(() => makeRuntimeRoot(mine, uid + 1)).toThrow("is not private to you");
  const link = join(root, "link");
  symlinkSync(mine, link);
  expect(() => makeRuntimeRoot(link, uid)).toThrow("is not private to you");
  expect(() => makeRuntimeRoot(join(root, "no", "where"), uid)).toThrow("set XDG_RUNTIME_DIR");
});

test("whoever looks into a root refuses it for the same reasons, and makes none", () => {
  const uid = process.getuid?.() as number;
  const path = join(root, "vmm");
  expect(checkRuntimeRoot(path, uid)).toBe(false);
  expect(existsSync(path)).toBe(false);
  mkdirSync(path, { mode: 0o700 });
  const before = openFds();
  expect(checkRuntimeRoot(path, uid)).toBe(true);
  expect(() => checkRuntimeRoot(path, uid + 1)).toThrow("is not private to you");
  chmodSync(path, 0o770);
  expect(() => checkRuntimeRoot(path, uid)).toThrow("is not private to you");
  expect(newFds(before)).toEqual([]);
  rmSync(path, { recursive: true });
  writeFileSync(path, "");
  expect(() => checkRuntimeRoot(path, uid)).toThrow("is not private to you");
});

test("a name whose sockets would have too long a path is refused", () => {
  expect(() => pathsOf("a".repeat(60), `/${"d".repeat(60)}`)).toThrow("too long");
});
