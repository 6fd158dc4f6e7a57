import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, open } from "./fd.ts";
import {
  access,
  F_OK,
  mkdir,
  R_OK,
  readFile,
  rename,
  rmdir,
  unlink,
  unlinkAt,
  writeFile,
  X_OK,
} from "./path.ts";
import { SyscallError } from "./syscall-error.ts";
import { O_CLOEXEC, O_DIRECTORY } from "./uapi/fcntl.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "libc-path-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a file that was written reads back, with the mode it was made with", () => {
  const path = join(folder, "file");
  writeFile(path, "longer than what follows", 0o600);
  writeFile(path, "text", 0o600);
  expect(new TextDecoder().decode(readFile(path))).toBe("text");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a file longer than the limit is refused", () => {
  const path = join(folder, "file");
  writeFile(path, "text", 0o600);
  expect(() => readFile(path, 3)).toThrow("EFBIG");
});

test("a directory is made once and removed once", () => {
  const path = join(folder, "d");
  expect(mkdir(path, 0o700)).toBe(true);
  expect(mkdir(path, 0o700)).toBe(false);
  expect(rmdir(path)).toBe(true);
  expect(rmdir(path)).toBe(false);
});

test("rename replaces what had the name, and unlink takes the name away", () => {
  const [a, b] = [join(folder, "a"), join(folder, "b")];
  writeFile(a, "a", 0o600);
  writeFile(b, "b", 0o600);
  rename(a, b);
  expect(new TextDecoder().decode(readFile(b))).toBe("a");
  expect(access(a, F_OK)).toBe(false);
  expect(unlink(b)).toBe(true);
  expect(unlink(b)).toBe(false);
});

test("a name is removed from a directory that is open, also where that was moved", () => {
  const [a, b] = [join(folder, "a"), join(folder, "b")];
  mkdir(a, 0o700);
  mkdir(join(a, "d"), 0o700);
  writeFile(join(a, "file"), "", 0o600);
  const directory = open(a, O_DIRECTORY | O_CLOEXEC);
  rename(a, b);
  expect(unlinkAt(directory, "file")).toBe(true);
  expect(unlinkAt(directory, "file")).toBe(false);
  expect(() => unlinkAt(directory, "d")).toThrow(`unlinkat d in fd ${directory}: EISDIR`);
  expect(access(join(b, "file"), F_OK)).toBe(false);
  close(directory);
});

test("access tells what may be done with a file", () => {
  const path = join(folder, "file");
  writeFile(path, "", 0o600);
  expect(access(path, R_OK)).toBe(true);
  expect(access(path, X_OK)).toBe(false);
  chmodSync(path, 0o700);
  expect(access(path, X_OK)).toBe(true);
});

test("errors name the call and the path", () => {
  const path = join(folder, "no", "such");
  expect(() => mkdir(path, 0o700)).toThrow(SyscallError);
  expect(() => mkdir(path, 0o700)).toThrow(`mkdir ${path}: ENOENT`);
  expect(() => rename(path, folder)).toThrow(`rename ${path} to ${folder}: ENOENT`);
  expect(() => unlink(folder)).toThrow(`unlink ${folder}: EISDIR`);
});
