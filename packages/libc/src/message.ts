/** sendmsg(2) and recvmsg(2): bytes together with fds (SCM_RIGHTS, unix(7)). */
import { interrupted } from "./check.ts";
import { close } from "./fd.ts";
import { iovecs, keepAlive } from "./iovec.ts";
import { i32, struct, u32, u64 } from "./layout.ts";
import { libc } from "./libc.ts";
import { addressOf } from "./memory.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";
import {
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_NOSIGNAL,
  MSG_TRUNC,
  SCM_RIGHTS,
  SOL_SOCKET,
} from "./uapi/socket.ts";

/** `struct msghdr` (`bits/socket.h`). */
export const Msghdr = struct("msghdr", {
  msg_name: u64,
  msg_namelen: u32,
  msg_iov: u64,
  msg_iovlen: u64,
  msg_control: u64,
  msg_controllen: u64,
  msg_flags: i32,
});

/** `struct cmsghdr` (`bits/socket.h`). */
export const Cmsghdr = struct("cmsghdr", { cmsg_len: u64, cmsg_level: i32, cmsg_type: i32 });

/** The most fds in one message (SCM_MAX_FD of `net/scm.h`). */
export const MAX_MESSAGE_FDS = 253;

/** A msghdr and what it points to, in buffers that do not move; all must live until the call is over. */
function message(bytes: ArrayBufferView, control: ArrayBuffer) {
  const iov = iovecs([bytes]);
  const header = Msghdr.of({
    msg_iov: BigInt(addressOf(iov)),
    msg_iovlen: 1n,
    msg_control: control.byteLength === 0 ? 0n : BigInt(addressOf(control)),
    msg_controllen: BigInt(control.byteLength),
  });
  return { header, alive: [bytes, control, iov] };
}

function rights(fds: readonly number[]): ArrayBuffer {
  if (fds.length === 0) return new ArrayBuffer(0);
  if (fds.length > MAX_MESSAGE_FDS)
    throw new RangeError(`${fds.length} fds: a message has at most ${MAX_MESSAGE_FDS}`);
  const buffer = new ArrayBuffer(Cmsghdr.size + 4 * fds.length);
  const header = Cmsghdr.at(buffer);
  header.cmsg_len = BigInt(buffer.byteLength);
  header.cmsg_level = SOL_SOCKET;
  header.cmsg_type = SCM_RIGHTS;
  new Int32Array(buffer, Cmsghdr.size).set(fds);
  return buffer;
}

/**
 * Sends bytes, and fds with the first of them. SIGPIPE is never raised.
 *
 * @param bytes At least one byte where there are fds on a stream socket: no byte, no fds.
 * @returns How many bytes went (the fds have gone with the first), `undefined` for EAGAIN.
 */
export function sendmsg(
  fd: number,
  bytes: ArrayBufferView,
  fds: readonly number[] = [],
  flags = 0,
): number | undefined {
  const { header, alive } = message(bytes, rights(fds));
  for (;;) {
    const n = libc.sendmsg(fd, header.$view, flags | MSG_NOSIGNAL);
    keepAlive(alive);
    if (n !== -1) return n;
    if (!interrupted("sendmsg", fd)) return undefined;
  }
}

export interface ReceivedMessage {
  /** Bytes received; 0 at the end of a stream. */
  readonly length: number;
  /** The fds that came with them, FD_CLOEXEC set. They are the caller's to close. */
  readonly fds: number[];
  /** The rest of a datagram was lost because the buffer was too short. */
  readonly truncated: boolean;
}

/**
 * Receives bytes and fds.
 *
 * @param maxFds The most fds to take.
 * @returns `undefined` for EAGAIN.
 * @throws SyscallError EMSGSIZE where more fds came than that (or than RLIMIT_NOFILE allows): those that did are closed.
 */
export function recvmsg(
  fd: number,
  buffer: ArrayBufferView,
  maxFds = 0,
  flags = 0,
): ReceivedMessage | undefined {
  // Exactly that room: the padded size could let one fd more through.
  const control = new ArrayBuffer(maxFds > 0 ? Cmsghdr.size + 4 * Math.min(maxFds, MAX_MESSAGE_FDS) : 0);
  const { header, alive } = message(buffer, control);
  for (;;) {
    const length = libc.recvmsg(fd, header.$view, flags | MSG_CMSG_CLOEXEC);
    keepAlive(alive);
    if (length !== -1) {
      const fds = receivedFds(control, Number(header.msg_controllen));
      if (header.msg_flags & MSG_CTRUNC) {
        for (const received of fds) close(received);
        throw new SyscallError("recvmsg", E.EMSGSIZE, `fd ${fd}: more than ${fds.length} fds came`);
      }
      return { length, fds, truncated: (header.msg_flags & MSG_TRUNC) !== 0 };
    }
    if (!interrupted("recvmsg", fd)) return undefined;
  }
}

function receivedFds(control: ArrayBuffer, length: number): number[] {
  const fds: number[] = [];
  for (let at = 0; at + Cmsghdr.size <= length; ) {
    const header = Cmsghdr.at(control, at);
    const end = at + Number(header.cmsg_len);
    if (header.cmsg_level === SOL_SOCKET && header.cmsg_type === SCM_RIGHTS) {
      fds.push(...new Int32Array(control, at + Cmsghdr.size, (end - at - Cmsghdr.size) >> 2));
    }
    at = Math.ceil(end / 8) * 8;
  }
  return fds;
}
