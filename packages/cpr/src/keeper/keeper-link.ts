/** The source's side of the keeper: starting it, handing it the preserved fds, and calling it off. */
import { close, getpid, pidfdOpen, SO_SNDBUF, SOL_SOCKET, setsockopt } from "@vmm/libc";
import type { CommitWord } from "../commit-word.ts";
import { Companion } from "../companion.ts";
import { CprError, reasonOf } from "../cpr-error.ts";
import type { PreservedFd } from "../fd-identity.ts";
import { FDS_PER_MESSAGE, isGone, SEND_BUFFER } from "../message-socket.ts";
import type { Environment } from "../persist.ts";
import { type KeeperMessage, keptFds, receiveMessage, sendMessage } from "./protocol.ts";

/** ms until a keeper must say that it is ready, or be gone once it is called off. */
const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 1;
/** The program that runs, whatever has become of its file: a newer one there would be a keeper of another kind. */
const THIS_PROGRAM = "/proc/self/exe";

const endedBefore = (what: "ready" | "told of the update", cause?: unknown) =>
  new CprError("keeper", `the keeper ended before it was ${what}`, { cause });

export class KeeperLink {
  readonly #companion: Companion;

  private constructor(companion: Companion) {
    this.#companion = companion;
    setsockopt(companion.socket, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
  }

  /** Our end of the socket; the new process inherits it. */
  get socket(): number {
    return this.#companion.socket;
  }

  get pid(): number {
    return this.#companion.process.pid;
  }

  /**
   * Starts a keeper in a session of its own, so that a Ctrl-C meant for the VMM does not end it.
   *
   * @param command How to start it: a command line of this very program that runs `runKeeper`.
   */
  static start(command: readonly string[], env: Environment): KeeperLink {
    return new KeeperLink(Companion.start({ target: THIS_PROGRAM, command, env, code: "keeper" }));
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
    } catch (cause) {
      throw isGone(cause) ? endedBefore("ready", cause) : cause;
    } finally {
      close(self);
    }
    // who gives the new VMM more time has a slow host
    const patienceMs = Math.max(PATIENCE_MS, timeoutMs);
    const deadline = performance.now() + patienceMs;
    for (;;) {
      goOn();
      const answer = receiveMessage(this.socket);
      if (answer === "end" || this.#companion.hasEnded) {
        throw endedBefore("ready");
      }
      if (answer?.message.type === "ready") return this.#companion.comeForward();
      if (performance.now() > deadline)
        throw new CprError("keeper", `the keeper is not ready after ${patienceMs} ms`);
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }

  /** Tells the keeper of the teardown helper: it ends it when nobody else can. */
  watchHelper(pid: number): void {
    this.#tell({ type: "helper" }, [pid]);
  }

  /** The same of processes that run the guest while the program is replaced. */
  watchRunners(pids: readonly number[]): void {
    for (let at = 0; at < pids.length; at += FDS_PER_MESSAGE) {
      this.#tell({ type: "runners" }, pids.slice(at, at + FDS_PER_MESSAGE));
    }
  }

  /** Tells the keeper something about processes, by pidfd. */
  #tell(message: KeeperMessage, pids: readonly number[], fds: readonly number[] = []): void {
    const pidfds: number[] = [];
    try {
      for (const pid of pids) pidfds.push(pidfdOpen(pid));
      sendMessage(this.socket, message, [...fds, ...pidfds]);
    } catch (cause) {
      if (cause instanceof CprError) throw cause;
      if (isGone(cause)) throw endedBefore("told of the update", cause);
      throw new CprError("keeper", `the keeper cannot be told of the update: ${reasonOf(cause)}`, { cause });
    } finally {
      for (const fd of pidfds) close(fd);
    }
  }

  /** Gives the keeper all it needs to go on in place of the new process, and starts its deadline. */
  handOver(stateFd: number, fds: readonly PreservedFd[]): void {
    const numbers = keptFds(fds).map(({ fd }) => fd);
    for (let at = 0; at < numbers.length; at += FDS_PER_MESSAGE) {
      this.#tell({ type: "fds" }, [], numbers.slice(at, at + FDS_PER_MESSAGE));
    }
    this.#tell({ type: "exec" }, [], [stateFd]);
  }

  /** Calls the keeper off; it ends by itself. Closes the socket. */
  callOff(): void {
    this.#companion.comeForward();
    try {
      sendMessage(this.socket, { type: "disarm" });
    } catch {
      // It is gone, or will see the end of the socket.
    }
    close(this.socket);
  }

  /** Resolves once the keeper has ended and was reaped; one that does not end is killed. */
  async gone(): Promise<void> {
    const timer = setTimeout(() => this.#companion.process.kill(9), PATIENCE_MS);
    try {
      await this.#companion.process.exited;
    } finally {
      clearTimeout(timer);
    }
  }
}
