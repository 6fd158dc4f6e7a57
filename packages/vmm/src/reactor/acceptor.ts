import { accept4, SOCK_CLOEXEC, SOCK_NONBLOCK, SyscallError } from "@vmm/libc";
import type { Reactor } from "./reactor.ts";
import type { Watch } from "./watch.ts";

/** How long to leave clients waiting where there is no fd or no memory for another. */
const RETRY_MS = 500;

/** Accepts the connections of a listening socket, one at a time. */
export class Acceptor {
  #fd: number;
  #watch: Watch;
  #accepted: (connection: number) => void;
  #timer: Timer | undefined;

  /** @param accepted Gets each connection: non-blocking, FD_CLOEXEC set. */
  constructor(reactor: Reactor, fd: number, accepted: (connection: number) => void) {
    this.#fd = fd;
    this.#accepted = accepted;
    this.#watch = reactor.watch(fd, { readable: () => this.#accept() });
  }

  /** Leaves further connections in the backlog. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#watch.pauseReading();
  }

  resume(): void {
    this.#watch.resumeReading();
  }

  /** Ends accepting; the socket stays open. */
  close(): void {
    clearTimeout(this.#timer);
    this.#watch.close();
  }

  #accept(): void {
    let connection: number | undefined;
    try {
      connection = accept4(this.#fd, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      // The socket stays ready, so to try again at once would spin; and a client that is gone again is no error.
      if (error.code !== "ECONNABORTED") this.#retryLater();
      return;
    }
    if (connection !== undefined) this.#accepted(connection);
  }

  #retryLater(): void {
    this.#watch.pauseReading();
    this.#timer = setTimeout(() => this.#watch.resumeReading(), RETRY_MS);
  }
}
