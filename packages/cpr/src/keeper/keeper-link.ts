/** The source's side of the keeper: starting it, handing it the preserved fds, and calling it off. */
import {
  close,
  getpid,
  pidfdOpen,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  SOL_SOCKET,
  setsockopt,
  socketpair,
} from "@vmm/libc";
import type { CommitWord } from "../commit-word.ts";
import { CprError, reasonOf } from "../cpr-error.ts";
import type { PreservedFd } from "../fd-identity.ts";
import { FDS_PER_MESSAGE, SEND_BUFFER } from "../message-socket.ts";
import type { Environment } from "../persist.ts";
import { keptFds, receiveMessage, sendMessage } from "./protocol.ts";

/** ms until a keeper must say that it is ready, or be gone once it is called off. */
const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 1;

export class KeeperLink {
  /** Our end of the socket; the new process inherits it. */
  readonly socket: number;
  readonly #process: Bun.Subprocess;

  private constructor(socket: number, process: Bun.Subprocess) {
    this.socket = socket;
    this.#process = process;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /**
   * Starts a keeper in a session of its own, so that a Ctrl-C meant for the VMM does not end it.
   *
   * @param command How to start it: a command line that runs `runKeeper`.
   */
  static start(command: readonly string[], env: Environment): KeeperLink {
    const [ours, theirs] = socketpair(SOCK_SEQPACKET | SOCK_CLOEXEC);
    try {
      setsockopt(ours, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
      const process = Bun.spawn([...command], {
        env: { ...env },
        // The keeper may have to become the VMM: it keeps the VMM's own stdio at hand.
        stdio: ["inherit", "inherit", "inherit", theirs],
        detached: true,
      });
      process.unref();
      return new KeeperLink(ours, process);
    } catch (cause) {
      close(ours);
      throw new CprError("keeper", `the keeper cannot be started: ${reasonOf(cause)}`, { cause });
    } finally {
      close(theirs);
    }
  }

  /**
   * Has the keeper watch this process.
   *
   * @param goOn Asked while waiting; throws to give up.
   */
  async arm(word: CommitWord, timeoutMs: number, goOn: () => void): Promise<void> {
    const self = pidfdOpen(getpid());
    try {
      sendMessage(this.socket, { type: "arm", timeoutMs }, [self, word.fd]);
    } finally {
      close(self);
    }
    // who gives the new VMM more time has a slow host
    const patienceMs = Math.max(PATIENCE_MS, timeoutMs);
    const deadline = performance.now() + patienceMs;
    for (;;) {
      goOn();
      const answer = receiveMessage(this.socket);
      if (answer === "end" || this.#process.exitCode !== null || this.#process.signalCode !== null) {
        throw new CprError("keeper", "the keeper ended before it was ready");
      }
      if (answer?.message.type === "ready") return;
      if (performance.now() > deadline)
        throw new CprError("keeper", `the keeper is not ready after ${patienceMs} ms`);
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }

  /** Gives the keeper all it needs to go on in place of the new process, and starts its deadline. */
  handOver(stateFd: number, fds: readonly PreservedFd[], teardownHelper: number): void {
    try {
      const numbers = keptFds(fds).map(({ fd }) => fd);
      for (let at = 0; at < numbers.length; at += FDS_PER_MESSAGE) {
        sendMessage(this.socket, { type: "fds" }, numbers.slice(at, at + FDS_PER_MESSAGE));
      }
      const helper = pidfdOpen(teardownHelper);
      try {
        sendMessage(this.socket, { type: "exec" }, [stateFd, helper]);
      } finally {
        close(helper);
      }
    } catch (cause) {
      if (cause instanceof CprError) throw cause;
      throw new CprError("keeper", `the keeper cannot be told of the update: ${reasonOf(cause)}`, { cause });
    }
  }

  /** Calls the keeper off; it ends by itself. Closes the socket. */
  callOff(): void {
    try {
      sendMessage(this.socket, { type: "disarm" });
    } catch {
      // It is gone, or will see the end of the socket.
    }
    close(this.socket);
  }

  /** Resolves once the keeper has ended and was reaped; one that does not end is killed. */
  async gone(): Promise<void> {
    const timer = setTimeout(() => this.#process.kill(9), PATIENCE_MS);
    try {
      await this.#process.exited;
    } finally {
      clearTimeout(timer);
    }
  }
}
