/** File descriptors: opening, duplicating, flags. Reading and writing is in `io.ts`, looking at them in `stat.ts`. */
import { cString } from "./c-string.ts";
import { check, checkFd } from "./check.ts";
import { errno } from "./errno.ts";
import { libc, type Memory } from "./libc.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";
import {
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  O_CLOEXEC,
  O_NONBLOCK,
} from "./uapi/fcntl.ts";

/**
 * Opens a file. Nothing is added to `flags`: pass O_CLOEXEC unless the fd is meant to survive exec.
 *
 * @param mode Permissions of a file that is created.
 * @returns The fd.
 */
export function open(path: string, flags: number, mode = 0): number {
  const text = cString("open", path);
  for (;;) {
    const fd = libc.open(text, flags, mode);
    if (fd !== -1) return fd;
    const error = errno();
    if (error !== E.EINTR) throw new SyscallError("open", error, path);
  }
}

/** Closes an fd. EINTR counts as success: Linux has released the fd by then. */
export function close(fd: number): void {
  if (libc.close(fd) === -1 && errno() !== E.EINTR) checkFd("close", -1, fd);
}

/** A pipe: the fd to read from and the one to write to. */
export function pipe(flags: number = O_CLOEXEC): [number, number] {
  const ends = new Int32Array(2);
  check("pipe2", libc.pipe2(ends, flags), "two fds");
  return [ends[0] as number, ends[1] as number];
}

/** A duplicate with FD_CLOEXEC set, on the lowest free number from `atLeast` on. */
export function dup(fd: number, atLeast = 0): number {
  return checkFd("dup", libc.fcntl(fd, F_DUPFD_CLOEXEC, atLeast), fd);
}

/** Makes `to` a duplicate of `from`, closing what `to` was. `flags` is 0 or O_CLOEXEC. */
export function dup3(from: number, to: number, flags: number): number {
  for (;;) {
    const fd = libc.dup3(from, to, flags);
    if (fd !== -1) return fd;
    const error = errno();
    if (error !== E.EINTR && error !== E.EBUSY) check("dup3", -1, `fd ${from} to fd ${to}`);
  }
}

/** Any fcntl command, with a number or a structure as its argument. */
export function fcntl(fd: number, command: number, argument: Memory = 0): number {
  return checkFd("fcntl", libc.fcntl(fd, command, argument), fd);
}

function setFlag(fd: number, get: number, set: number, flag: number, on: boolean): void {
  const old = fcntl(fd, get);
  const flags = on ? old | flag : old & ~flag;
  if (flags !== old) fcntl(fd, set, flags);
}

/** Whether the fd is closed by exec. */
export function setCloexec(fd: number, on: boolean): void {
  setFlag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

export function isCloexec(fd: number): boolean {
  return (fcntl(fd, F_GETFD) & FD_CLOEXEC) !== 0;
}

/** O_NONBLOCK belongs to the open file: every duplicate changes with it, in other processes too. */
export function setNonblocking(fd: number, on: boolean): void {
  setFlag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

export function isNonblocking(fd: number): boolean {
  return (fcntl(fd, F_GETFL) & O_NONBLOCK) !== 0;
}

/**
 * Takes or releases a lock on an open file (LOCK_SH, LOCK_EX, LOCK_UN).
 *
 * @returns false where LOCK_NB is set and somebody else holds the lock.
 */
export function flock(fd: number, operation: number): boolean {
  for (;;) {
    if (libc.flock(fd, operation) === 0) return true;
    const error = errno();
    if (error === E.EWOULDBLOCK) return false;
    if (error !== E.EINTR) throw new SyscallError("flock", error, `fd ${fd}`);
  }
}
