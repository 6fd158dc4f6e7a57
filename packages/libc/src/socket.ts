/** Unix-domain sockets. Messages with fds are in `message.ts`. */
import { cString } from "./c-string.ts";
import { check, checkFd, interrupted } from "./check.ts";
import { errno } from "./errno.ts";
import { close } from "./fd.ts";
import { struct, u32 } from "./layout.ts";
import { libc } from "./libc.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";
import { AF_UNIX, SO_PEERCRED, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from "./uapi/socket.ts";

/** Two connected sockets. `type` is SOCK_STREAM or another, with SOCK_CLOEXEC and SOCK_NONBLOCK as wanted. */
export function socketpair(type: number = SOCK_STREAM | SOCK_CLOEXEC): [number, number] {
  const pair = new Int32Array(2);
  check("socketpair", libc.socketpair(AF_UNIX, type, 0, pair), "AF_UNIX");
  return [pair[0] as number, pair[1] as number];
}

/** A new unconnected socket. */
export function socketUnix(type: number = SOCK_STREAM | SOCK_CLOEXEC): number {
  return check("socket", libc.socket(AF_UNIX, type, 0), "AF_UNIX");
}

/** The longest path of a socket in bytes: sun_path (`linux/un.h`) has 108, of which one is the terminator. */
export const MAX_SOCKET_PATH = 107;

function sockaddr(call: string, path: string): Uint8Array {
  const encoded = Buffer.from(cString(call, path));
  if (encoded.length > MAX_SOCKET_PATH) {
    const object = `${path} (${encoded.length} bytes; a socket's path has at most ${MAX_SOCKET_PATH})`;
    throw new SyscallError(call, E.ENAMETOOLONG, object);
  }
  if (encoded.length === 0) throw new SyscallError(call, E.ENOENT, "a socket with an empty path");
  const address = new Uint8Array(2 + encoded.length + 1);
  address[0] = AF_UNIX;
  address.set(encoded, 2);
  return address;
}

/** Gives a socket its path, where it makes a new file. */
export function bindUnix(fd: number, path: string): void {
  const address = sockaddr("bind", path);
  check("bind", libc.bind(fd, address, address.length), path);
}

/** @param backlog How many connections may wait to be accepted. */
export function listen(fd: number, backlog: number): void {
  checkFd("listen", libc.listen(fd, backlog), fd);
}

/** The fd of a new connection; `undefined` where none waits and the socket is non-blocking. */
export function accept4(fd: number, flags: number = SOCK_CLOEXEC): number | undefined {
  for (;;) {
    const connection = libc.accept4(fd, null, null, flags);
    if (connection !== -1) return connection;
    if (!interrupted("accept4", fd)) return undefined;
  }
}

/**
 * A socket connected to the one that listens at `path`.
 *
 * @throws SyscallError ENOENT for no such file, ECONNREFUSED where nobody listens, EAGAIN where the socket is
 *   non-blocking and the listener's backlog full.
 */
export function connectUnix(path: string, type: number = SOCK_STREAM | SOCK_CLOEXEC): number {
  const address = sockaddr("connect", path);
  const fd = socketUnix(type);
  for (;;) {
    if (libc.connect(fd, address, address.length) === 0) return fd;
    const error = errno();
    if (error === E.EINTR) continue;
    close(fd);
    throw new SyscallError("connect", error, path);
  }
}

/** Ends one or both directions (SHUT_*). */
export function shutdown(fd: number, how: number): void {
  checkFd("shutdown", libc.shutdown(fd, how), fd);
}

export function setsockopt(fd: number, level: number, option: number, value: number | ArrayBufferView): void {
  const memory = typeof value === "number" ? Int32Array.of(value) : value;
  checkFd("setsockopt", libc.setsockopt(fd, level, option, memory, memory.byteLength), fd);
}

/** Reads an option into `value`; returns how many bytes came. */
export function getsockoptInto(fd: number, level: number, option: number, value: ArrayBufferView): number {
  const length = Uint32Array.of(value.byteLength);
  checkFd("getsockopt", libc.getsockopt(fd, level, option, value, length), fd);
  return length[0] as number;
}

/** An option that is an int. */
export function getsockopt(fd: number, level: number, option: number): number {
  const value = new Int32Array(1);
  getsockoptInto(fd, level, option, value);
  return value[0] as number;
}

/** `struct ucred` (`linux/socket.h`). */
export const Ucred = struct("ucred", { pid: u32, uid: u32, gid: u32 });

/** Who was at the other end when the connection was made. */
export function peerCredentials(fd: number): { pid: number; uid: number; gid: number } {
  const credentials = Ucred.alloc();
  getsockoptInto(fd, SOL_SOCKET, SO_PEERCRED, credentials.$view);
  const { pid, uid, gid } = credentials;
  return { pid, uid, gid };
}
