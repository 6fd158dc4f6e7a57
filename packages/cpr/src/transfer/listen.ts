/** The socket on which a successor waits for its source. */
import {
  accept4,
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
  POLLIN,
  peerCredentials,
  poll,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SyscallError,
  socketUnix,
  unlink,
} from "@vmm/libc";
import { CprError, reasonOf } from "../cpr-error.ts";

const TYPE = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

/** How often whoever waits looks whether it still should, in ms. */
export const LOOK_EVERY_MS = 100;

/** Connects to whoever listens at `path`. @throws CprError `channel` where nobody does. */
export function connectTransfer(path: string): number {
  try {
    return connectUnix(path, TYPE);
  } catch (cause) {
    const help =
      cause instanceof SyscallError && (cause.code === "ENOENT" || cause.code === "ECONNREFUSED")
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
    this.#fd = socketUnix(TYPE);
    try {
      fchmod(this.#fd, 0o600);
      bindReplacing(this.#fd, path);
      listen(this.#fd, 1);
    } catch (cause) {
      close(this.#fd);
      if (cause instanceof CprError) throw cause;
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

/** The guest's memory comes from nobody but this user, or root. */
function isOurs(connection: number): boolean {
  const { uid } = peerCredentials(connection);
  return uid === 0 || uid === process.getuid?.();
}

/** Takes the place of a socket that a dead process left. */
function bindReplacing(fd: number, path: string): void {
  try {
    bindUnix(fd, path);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== "EADDRINUSE") throw error;
    if (isAlive(path)) throw new CprError("channel", `${path} is in use: another process listens there`);
    unlink(path);
    bindUnix(fd, path);
  }
}

/** Whether somebody listens, or something else than a socket is there. */
function isAlive(path: string): boolean {
  try {
    close(connectUnix(path, TYPE));
    return true;
  } catch (error) {
    // A file that is no socket is refused like a socket without a listener, so it has to be told apart.
    return !(error instanceof SyscallError && error.code === "ECONNREFUSED" && isSocket(path));
  }
}

function isSocket(path: string): boolean {
  const fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  try {
    return fstat(fd).kind === "socket";
  } finally {
    close(fd);
  }
}
