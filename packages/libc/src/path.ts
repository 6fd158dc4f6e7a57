/**
 * Files by their path: permissions, names, directories. For programs that start in milliseconds: importing `node:fs`
 * costs 2 ms by itself.
 */
import { cString } from "./c-string.ts";
import { check } from "./check.ts";
import { errno } from "./errno.ts";
import { close, open } from "./fd.ts";
import { readAll, writeAll } from "./io.ts";
import { libc } from "./libc.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";
import { O_CLOEXEC, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from "./uapi/fcntl.ts";

/** access(2) modes. */
export const F_OK = 0;
export const X_OK = 1;
export const W_OK = 2;
export const R_OK = 4;

/** Whether this user may use the file in that way (F_OK, R_OK, W_OK, X_OK); false where there is no such file. */
export function access(path: string, mode: number): boolean {
  return libc.access(cString("access", path), mode) === 0;
}

/** Makes a directory. Returns false where there is something of that name. */
export function mkdir(path: string, mode: number): boolean {
  if (libc.mkdir(cString("mkdir", path), mode) === 0) return true;
  const error = errno();
  if (error === E.EEXIST) return false;
  throw new SyscallError("mkdir", error, path);
}

function remove(call: "rmdir" | "unlink", path: string): boolean {
  if (libc[call](cString(call, path)) === 0) return true;
  const error = errno();
  if (error === E.ENOENT) return false;
  throw new SyscallError(call, error, path);
}

/** Removes an empty directory. Returns false where there is none. */
export const rmdir = (path: string): boolean => remove("rmdir", path);

/** Removes a file's name. Returns false where there is none. */
export const unlink = (path: string): boolean => remove("unlink", path);

/** Removes a file's name from a directory that is open, wherever that is by now. Returns false where there is none. */
export function unlinkAt(directory: number, name: string): boolean {
  if (libc.unlinkat(directory, cString("unlinkat", name), 0) === 0) return true;
  const error = errno();
  if (error === E.ENOENT) return false;
  throw new SyscallError("unlinkat", error, `${name} in fd ${directory}`);
}

/** Gives a file another name, replacing the file that had it, in one step. */
export function rename(from: string, to: string): void {
  check("rename", libc.rename(cString("rename", from), cString("rename", to)), `${from} to ${to}`);
}

/**
 * The whole of a file.
 *
 * @param limit The most bytes to take; EFBIG where there is more.
 */
export function readFile(path: string, limit?: number): Uint8Array {
  const fd = open(path, O_RDONLY | O_CLOEXEC);
  try {
    return readAll(fd, limit);
  } finally {
    close(fd);
  }
}

/** Replaces what the file holds, making it with `mode` where there is none. */
export function writeFile(path: string, content: string | Uint8Array, mode: number): void {
  const fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  try {
    writeAll(fd, typeof content === "string" ? Buffer.from(content) : content);
  } finally {
    close(fd);
  }
}
