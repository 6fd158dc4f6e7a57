/** Listening sockets in the file system, private to the user. */
import {
  bindUnix,
  close,
  connectUnix,
  fchmod,
  fstat,
  listen,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  open,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SyscallError,
  socketUnix,
  unlink,
} from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";

const TYPE = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

/** How many connections may wait to be accepted: while a live update goes on nobody accepts any. */
export const BACKLOG = 64;

/**
 * A non-blocking listening socket at `path`, usable by this user alone. A socket that a dead process left there is
 * replaced.
 *
 * @throws VmmError `chardev` where another process listens there, or something else than a socket is in the way.
 */
export function listenUnix(path: string): number {
  const fd = socketUnix(TYPE);
  try {
    fchmod(fd, 0o600);
    bindReplacing(fd, path);
    listen(fd, BACKLOG);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** A non-blocking connection to whoever listens at `path`; `undefined` where nobody does. */
export function connectIfListening(path: string): number | undefined {
  try {
    return connectUnix(path, TYPE);
  } catch (error) {
    if (error instanceof SyscallError && (error.code === "ENOENT" || error.code === "ECONNREFUSED")) {
      return undefined;
    }
    throw error;
  }
}

function bindReplacing(fd: number, path: string): void {
  try {
    bindUnix(fd, path);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== "EADDRINUSE") throw error;
    removeStale(path);
    bindUnix(fd, path);
  }
}

function removeStale(path: string): void {
  if (!isSocket(path)) {
    throw new VmmError("chardev", `${path} exists and is not a socket: remove it, or give another path`);
  }
  const connection = connectIfListening(path);
  if (connection !== undefined) {
    close(connection);
    throw new VmmError("chardev", `${path} is in use: another process listens there`);
  }
  unlink(path);
}

function isSocket(path: string): boolean {
  const fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  try {
    return fstat(fd).kind === "socket";
  } finally {
    close(fd);
  }
}
