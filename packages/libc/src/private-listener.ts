/** Listening sockets in the file system that only their user can connect to. */
import { close, open } from "./fd.ts";
import { unlink } from "./path.ts";
import { bindUnix, connectUnix, listen, socketUnix } from "./socket.ts";
import { fchmod, fstat } from "./stat.ts";
import { isSyscallError, SyscallError } from "./syscall-error.ts";
import { O_CLOEXEC, O_NOFOLLOW, O_PATH } from "./uapi/fcntl.ts";

/** A path at which nobody can listen, as something is there. The message says what, and names the path. */
export class PathTakenError extends Error {
  override readonly name = "PathTakenError";
}

/**
 * A listening socket at `path`, usable by this user alone. A socket that a dead process left there is replaced.
 *
 * @param type Such as `SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK`.
 * @param backlog How many connections may wait to be accepted.
 * @throws PathTakenError where another process listens there, or something else than a socket is in the way.
 * @throws SyscallError
 */
export function listenPrivate(path: string, type: number, backlog: number): number {
  const fd = socketUnix(type);
  try {
    fchmod(fd, 0o600);
    bindReplacing(fd, path, type);
    listen(fd, backlog);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** A connection to whoever listens at `path`; `undefined` where nobody does. @throws SyscallError */
export function connectIfListening(path: string, type: number): number | undefined {
  try {
    return connectUnix(path, type);
  } catch (error) {
    if (isSyscallError(error, "ENOENT", "ECONNREFUSED")) {
      return undefined;
    }
    throw error;
  }
}

function bindReplacing(fd: number, path: string, type: number): void {
  try {
    bindUnix(fd, path);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== "EADDRINUSE") throw error;
    removeStale(path, type);
    bindUnix(fd, path);
  }
}

function removeStale(path: string, type: number): void {
  // a file that is no socket refuses connections as a socket without a listener does
  if (!isSocket(path)) {
    throw new PathTakenError(`${path} exists and is not a socket: remove it, or give another path`);
  }
  const connection = connectIfListening(path, type);
  if (connection !== undefined) {
    close(connection);
    throw new PathTakenError(`${path} is in use: another process listens there`);
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
