/** What VMM processes say to each other on one host: a JSON object per message on a SOCK_SEQPACKET connection, with fds. */
import { close, isSyscallError, MSG_DONTWAIT, type ReceivedMessage, recvmsg, sendmsg } from "@vmm/libc";
import { CprError } from "./cpr-error.ts";

/** The most fds in one message; the kernel allows 253. */
export const FDS_PER_MESSAGE = 200;

/** Room for the messages of a full fd table, in bytes: for SO_SNDBUF, so that the sender need not wait for the reader. */
export const SEND_BUFFER = 1 << 20;

/**
 * Sends an object, without waiting.
 *
 * @returns false where the other side does not read what it was sent before.
 * @throws SyscallError EPIPE where the other side is gone.
 */
export function sendObject(socket: number, object: object, fds: readonly number[] = []): boolean {
  return sendmsg(socket, Buffer.from(JSON.stringify(object)), fds, MSG_DONTWAIT) !== undefined;
}

/** Messages are read one at a time, and looked for often. */
let buffer = new Uint8Array(new ArrayBuffer(0));

export interface ReceivedObject {
  /** As it came: what it is must be checked. */
  readonly object: unknown;
  /** With FD_CLOEXEC; the caller's to close. */
  readonly fds: readonly number[];
}

/**
 * The next object.
 *
 * @param limit The longest message in bytes.
 * @returns `end` where the other side is gone, undefined where nothing has come yet.
 * @throws CprError `transfer` for what is not JSON or is too long.
 */
export function receiveObject(socket: number, limit: number): ReceivedObject | "end" | undefined {
  if (buffer.length < limit) buffer = new Uint8Array(new ArrayBuffer(limit));
  const received = receive(socket, buffer.subarray(0, limit));
  if (received === undefined || received === "end") return received;
  try {
    if (received.truncated) throw new Error("it is too long");
    const text = new TextDecoder().decode(buffer.subarray(0, received.length));
    return { object: JSON.parse(text), fds: received.fds };
  } catch (cause) {
    for (const fd of received.fds) close(fd);
    throw new CprError("transfer", "a message of the other VMM is not JSON, or too long", { cause });
  }
}

function receive(socket: number, buffer: Uint8Array, again = true): ReceivedMessage | "end" | undefined {
  try {
    const received = recvmsg(socket, buffer, FDS_PER_MESSAGE, MSG_DONTWAIT);
    return received?.length === 0 ? "end" : received;
  } catch (error) {
    if (!isSyscallError(error, "ECONNRESET")) throw error;
    // The other side ended with something of ours unread. That is told once, and before its last words.
    return again ? receive(socket, buffer, false) : "end";
  }
}

/** Whether an error of sending says that the other side is gone. */
export function isGone(error: unknown): boolean {
  return isSyscallError(error, "EPIPE", "ECONNRESET");
}
