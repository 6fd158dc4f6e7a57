/** The source's side of a transfer: the connection to the successor, and its process where the source started it. */
import { close, SO_SNDBUF, SOL_SOCKET, setsockopt } from "@vmm/libc";
import { COMPANION_FD, Companion } from "../companion.ts";
import { CprError } from "../cpr-error.ts";
import { CPR_TRANSFER_ENV } from "../environment.ts";
import { FDS_PER_MESSAGE, isGone, SEND_BUFFER } from "../message-socket.ts";
import type { Environment } from "../persist.ts";
import { connectTransfer } from "./listen.ts";
import { type ReceivedTransfer, receiveTransfer, sendTransfer, type TransferMessage } from "./protocol.ts";

const LOOK_EVERY_MS = 1;
/** For a successor that is gone to have ended, so that it can be told how (ms). */
const END_MS = 1000;

/** What the successor is to say. */
type Answer = "ready" | "running";

export class SuccessorLink {
  readonly socket: number;
  readonly #companion: Companion | undefined;
  #open = true;

  private constructor(socket: number, companion?: Companion) {
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
    this.socket = socket;
    this.#companion = companion;
  }

  /** Connects to a successor that somebody else started. */
  static connect(path: string): SuccessorLink {
    return new SuccessorLink(connectTransfer(path));
  }

  /**
   * Starts a successor, in a session of its own: it outlives this process.
   *
   * @param target The program's file.
   * @param command Its command line, argv[0] first.
   */
  static start(target: string, command: readonly string[], env: Environment): SuccessorLink {
    const connected = { ...env, [CPR_TRANSFER_ENV]: String(COMPANION_FD) };
    const companion = Companion.start({ target, command, env: connected, code: "exec-target" });
    return new SuccessorLink(companion.socket, companion);
  }

  /**
   * Sends what the successor is to get ready with.
   *
   * @throws CprError `transfer`
   */
  async begin(message: TransferMessage, fds: readonly number[]): Promise<void> {
    try {
      this.#send(message, fds);
    } catch (cause) {
      if (!isGone(cause)) throw cause;
      this.#hearLastWords();
      throw await this.#endedEarly(cause);
    }
  }

  /**
   * Sends what the successor is to run the guest with. The guest stands still: nothing is waited for.
   *
   * @throws CprError `transfer`
   */
  sendState(message: TransferMessage, fds: readonly number[]): void {
    try {
      this.#send(message, fds);
    } catch (cause) {
      if (!isGone(cause)) throw cause;
      this.#hearLastWords();
      throw ended("running", cause);
    }
  }

  /** Sends a message, with fds in as many messages as it takes. */
  #send(message: TransferMessage, fds: readonly number[]): void {
    let at = 0;
    for (; fds.length - at > FDS_PER_MESSAGE; at += FDS_PER_MESSAGE) {
      sendTransfer(this.socket, { type: "fds" }, fds.slice(at, at + FDS_PER_MESSAGE));
    }
    sendTransfer(this.socket, message, fds.slice(at));
  }

  /**
   * Waits for a message.
   *
   * @param what What is waited for, such as `is not ready`: for the message of a timeout.
   * @param goOn Asked while waiting; throws to give up.
   * @throws CprError `transfer` where the successor fails, ends, or takes too long.
   */
  async await(type: Answer, what: string, timeoutMs: number, goOn: () => void): Promise<ReceivedTransfer> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      goOn();
      const received = receiveTransfer(this.socket);
      if (received === "end") throw type === "ready" ? await this.#endedEarly() : ended(type);
      if (received?.message.type === type) {
        this.#companion?.comeForward();
        return received;
      }
      if (received) this.#refuse(received);
      if (performance.now() > deadline)
        throw new CprError("transfer", `the successor ${what} after ${timeoutMs} ms`);
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }

  #refuse({ message, fds }: ReceivedTransfer): never {
    for (const fd of fds) close(fd);
    const reason = message.type === "failed" ? message.reason : `it said "${message.type}" out of turn`;
    throw new CprError("transfer", `the successor failed: ${reason}`);
  }

  /** Where it takes no message any more, it may have said why before. */
  #hearLastWords(): void {
    const lastWords = receiveTransfer(this.socket);
    if (lastWords !== undefined && lastWords !== "end" && lastWords.message.type === "failed")
      this.#refuse(lastWords);
  }

  /** The guest runs meanwhile: there is time to learn how it has ended. */
  async #endedEarly(cause?: unknown): Promise<CprError> {
    await this.#companion?.awaitEnd(END_MS);
    return ended("ready", cause, this.#companion?.ending);
  }

  /** Ends the connection: a successor that has no guest by then ends. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.socket);
  }

  /** Ends the connection, and the successor where we have started it. */
  dismiss(): void {
    this.close();
    // the next migration waits for its end
    this.#companion?.comeForward();
    this.#companion?.kill();
  }

  /** Resolves once a successor that was dismissed has ended and was reaped; at once where it is not our child. */
  async gone(): Promise<void> {
    await this.#companion?.process.exited;
  }
}

function ended(before: Answer, cause?: unknown, how = "ended"): CprError {
  const what = before === "ready" ? "was ready" : "ran the guest";
  return new CprError("transfer", `the successor ${how} before it ${what}`, { cause });
}
