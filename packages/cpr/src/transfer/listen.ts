/** The socket on which a successor waits for its source. */
import {
  accept4,
  close,
  connectUnix,
  isSyscallError,
  listenPrivate,
  POLLIN,
  peerCredentials,
  poll,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  unlink,
} from "@vmm/libc";
import { CprError, reasonOf } from "../cpr-error.ts";

const TYPE = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

/** How often whoever waits looks whether it still should, in ms. */
export const LOOK_EVERY_MS = 100;

/**
 * Connects to whoever listens at `path`, who is to get the guest's memory.
 *
 * @throws CprError `channel` where nobody does, or another user.
 */
export function connectTransfer(path: string): number {
  const connection = connect(path);
  // asked before anything is sent: whoever can write to the folder can listen there
  if (isOurs(connection)) return connection;
  const { pid, uid } = peerCredentials(connection);
  close(connection);
  const problem = `at ${path} listens process ${pid} of another user (uid ${uid}), who would get the guest's memory`;
  throw new CprError("channel", `${problem}: give a path in a folder that only you can write to`);
}

function connect(path: string): number {
  try {
    return connectUnix(path, TYPE);
  } catch (cause) {
    const help = isSyscallError(cause, "ENOENT", "ECONNREFUSED")
      ? `no successor listens at ${path}: start one with --incoming cpr:${path}`
      : `cannot connect to the successor at ${path}: ${reasonOf(cause)}`;
    throw new CprError("channel", help, { cause });
  }
}

/** A socket in the file system that waits for one connection, usable by this user alone. */
export class TransferListener {
  readonly path: string;
  readonly #fd: number;
  #open = true;

  /** @throws CprError `channel` where the path cannot be used. */
  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = listenPrivate(path, TYPE, 1);
    } catch (cause) {
      throw new CprError("channel", `cannot listen at ${path}: ${reasonOf(cause)}`, { cause });
    }
  }

  /**
   * Waits for a connection of this user, closes the listener and removes its path.
   *
   * @param goOn Asked again and again; throws to give up.
   */
  accept(goOn: () => void): number {
    try {
      for (;;) {
        goOn();
        poll(this.#fd, POLLIN, LOOK_EVERY_MS);
        const connection = accept4(this.#fd, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (connection === undefined) continue;
        if (isOurs(connection)) return connection;
        close(connection);
      }
    } finally {
      this.close();
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.#fd);
    unlink(this.path);
  }
}

/** The guest's memory comes from nobody but this user, or root, and goes to nobody else. */
function isOurs(connection: number): boolean {
  const { uid } = peerCredentials(connection);
  return uid === 0 || uid === process.getuid?.();
}
