/**
 * What a VMM and its keeper say to each other: one JSON object per message on a SOCK_SEQPACKET pair, fds with it.
 *
 * | message | from | fds | |
 * |---|---|---|---|
 * | `ready` | keeper | | it watches |
 * | `arm` | source | pidfd of the VMM, commit word | sent first |
 * | `helper` | source | pidfd of the teardown helper | the keeper ends it whatever happens |
 * | `runners` | source | pidfds | processes that run the guest while the program is replaced |
 * | `fds` | source | some of the preserved fds | in the order of the CPR state, as often as needed |
 * | `exec` | source | CPR state | execve is next: the deadline runs |
 * | `disarm` | source | | the update was taken back |
 * | `commit` | new process | | the guest runs |
 * | `fallback` | new process | | it goes back to the old command by itself: the deadline runs anew |
 * | `failed` | new process | | it cannot go back by itself and ends |
 */
import { CprError } from "../cpr-error.ts";
import { CPR_FD } from "../cpr-state.ts";
import type { PreservedFd } from "../fd-identity.ts";
import { receiveObject, sendObject } from "../message-socket.ts";

export type KeeperMessage =
  | { readonly type: "ready" }
  | { readonly type: "arm"; readonly timeoutMs: number }
  | { readonly type: "helper" }
  | { readonly type: "runners" }
  | { readonly type: "fds" }
  | { readonly type: "exec" }
  | { readonly type: "disarm" }
  | { readonly type: "commit" }
  | { readonly type: "fallback" }
  | { readonly type: "failed"; readonly reason: string };

/** The fd on which the keeper finds its socket. */
export const KEEPER_SOCKET_FD = 3;
/** The longest message in bytes. */
const LIMIT = 16 * 1024;
const MAX_REASON = 4096;

/** The fds that the keeper gets: all but its own socket, whose other end would keep it from seeing that we are gone. */
export function keptFds(fds: readonly PreservedFd[]): PreservedFd[] {
  return fds.filter(({ name }) => name !== CPR_FD.keeper);
}

/** Sends a message. @throws SyscallError EPIPE where the other side is gone. */
export function sendMessage(socket: number, message: KeeperMessage, fds: readonly number[] = []): void {
  const short =
    message.type === "failed" ? { ...message, reason: message.reason.slice(0, MAX_REASON) } : message;
  if (!sendObject(socket, short, fds)) {
    throw new CprError("keeper", "the keeper does not read what it is told");
  }
}

export interface ReceivedKeeperMessage {
  readonly message: KeeperMessage;
  readonly fds: readonly number[];
}

/** The next message; `end` where the other side is gone, undefined where there is none yet. */
export function receiveMessage(socket: number): ReceivedKeeperMessage | "end" | undefined {
  const received = receiveObject(socket, LIMIT);
  if (received === undefined || received === "end") return received;
  return { message: received.object as KeeperMessage, fds: received.fds };
}
