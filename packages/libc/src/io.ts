/**
 * Reading and writing. On a non-blocking fd that has nothing to give or no room, calls return `undefined`; EINTR is
 * retried inside.
 */
import { interrupted } from "./check.ts";
import { iovecs, keepAlive } from "./iovec.ts";
import { libc } from "./libc.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";

/** Reads into `bytes`. Returns how many came: 0 at the end of the file, `undefined` for EAGAIN. */
export function read(fd: number, bytes: ArrayBufferView): number | undefined {
  for (;;) {
    const n = libc.read(fd, bytes, bytes.byteLength);
    if (n !== -1) return n;
    if (!interrupted("read", fd)) return undefined;
  }
}

/** Writes from `bytes`. Returns how many went, `undefined` for EAGAIN. */
export function write(fd: number, bytes: ArrayBufferView): number | undefined {
  for (;;) {
    const n = libc.write(fd, bytes, bytes.byteLength);
    if (n !== -1) return n;
    if (!interrupted("write", fd)) return undefined;
  }
}

/** Reads from `offset` bytes on. Returns how many came, 0 at the end of the file. */
export function pread(fd: number, bytes: ArrayBufferView, offset: number): number {
  for (;;) {
    const n = libc.pread(fd, bytes, bytes.byteLength, offset);
    if (n !== -1) return n;
    if (!interrupted("pread", fd)) throw new SyscallError("pread", E.EAGAIN, `fd ${fd}`);
  }
}

/** Writes from `offset` bytes on. Returns how many went. */
export function pwrite(fd: number, bytes: ArrayBufferView, offset: number): number {
  for (;;) {
    const n = libc.pwrite(fd, bytes, bytes.byteLength, offset);
    if (n !== -1) return n;
    if (!interrupted("pwrite", fd)) throw new SyscallError("pwrite", E.EAGAIN, `fd ${fd}`);
  }
}

/** As `pread`, filling several views in turn. At most 1024 of them (UIO_MAXIOV). */
export function preadv(fd: number, views: readonly ArrayBufferView[], offset: number): number {
  const table = iovecs(views);
  for (;;) {
    const n = libc.preadv(fd, table, views.length, offset);
    keepAlive(views);
    if (n !== -1) return n;
    if (!interrupted("preadv", fd)) throw new SyscallError("preadv", E.EAGAIN, `fd ${fd}`);
  }
}

/** As `pwrite`, from several views in turn. At most 1024 of them (UIO_MAXIOV). */
export function pwritev(fd: number, views: readonly ArrayBufferView[], offset: number): number {
  const table = iovecs(views);
  for (;;) {
    const n = libc.pwritev(fd, table, views.length, offset);
    keepAlive(views);
    if (n !== -1) return n;
    if (!interrupted("pwritev", fd)) throw new SyscallError("pwritev", E.EAGAIN, `fd ${fd}`);
  }
}

function rest(bytes: ArrayBufferView, from: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from);
}

/** Writes all of `bytes` to a blocking fd. */
export function writeAll(fd: number, bytes: ArrayBufferView): void {
  for (let done = 0; done < bytes.byteLength; ) {
    const n = write(fd, rest(bytes, done));
    if (n === undefined) throw new SyscallError("write", E.EAGAIN, `fd ${fd}`);
    done += n;
  }
}

/** Writes all of `bytes` from `offset` bytes on. */
export function pwriteAll(fd: number, bytes: ArrayBufferView, offset: number): void {
  for (let done = 0; done < bytes.byteLength; ) done += pwrite(fd, rest(bytes, done), offset + done);
}

/** Fills `bytes` from `offset` bytes on. Returns how many came, which is less only at the end of the file. */
export function preadAll(fd: number, bytes: ArrayBufferView, offset: number): number {
  let done = 0;
  while (done < bytes.byteLength) {
    const n = pread(fd, rest(bytes, done), offset + done);
    if (n === 0) break;
    done += n;
  }
  return done;
}

const CHUNK = 64 * 1024;

/**
 * Reads a blocking fd from where it stands to its end.
 *
 * @param limit The most bytes to take.
 * @throws SyscallError EFBIG where there is more, EAGAIN where the fd is non-blocking and has nothing to give.
 */
export function readAll(fd: number, limit = 64 * 1024 * 1024): Uint8Array {
  let buffer = new Uint8Array(new ArrayBuffer(Math.min(CHUNK, limit + 1)));
  let length = 0;
  for (;;) {
    if (length === buffer.length) {
      const larger = new Uint8Array(new ArrayBuffer(Math.min(buffer.length * 2, limit + 1)));
      larger.set(buffer);
      buffer = larger;
    }
    const n = read(fd, buffer.subarray(length));
    if (n === undefined) throw new SyscallError("read", E.EAGAIN, `fd ${fd}`);
    if (n === 0) return buffer.subarray(0, length);
    length += n;
    if (length > limit) throw new SyscallError("read", E.EFBIG, `fd ${fd}: more than ${limit} bytes`);
  }
}
