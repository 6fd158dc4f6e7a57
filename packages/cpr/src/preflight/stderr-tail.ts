/** The end of what a process says on stderr. */
import { close, pipe, read, setNonblocking } from "@vmm/libc";

/** How much is kept, in characters. */
const LIMIT = 2000;
/** Time between two looks (ms): a pipe holds 64 KiB, and whoever finds it full waits. */
const LOOK_EVERY_MS = 10;

/** A pipe of our own: it is closed when we close it, and a runtime's stream is some time after. */
export class StderrTail {
  /** The end for the process. */
  readonly fd: number;
  readonly #read: number;
  readonly #decoder = new TextDecoder();
  readonly #buffer = new Uint8Array(new ArrayBuffer(64 << 10));
  readonly #timer: NodeJS.Timeout;
  #own = true;
  #ended = false;
  #text = "";

  constructor() {
    [this.#read, this.fd] = pipe();
    // of this end alone: the process is to wait where the pipe is full
    setNonblocking(this.#read, true);
    this.#timer = setInterval(() => this.#take(), LOOK_EVERY_MS);
  }

  /** The process has its end: ours is closed. */
  handedOver(): void {
    if (this.#own) close(this.fd);
    this.#own = false;
  }

  /** Reads what is there, at most as much as a pipe holds: somebody may go on to write for ever. */
  #take(): void {
    const length = read(this.#read, this.#buffer) ?? 0;
    const text = this.#decoder.decode(this.#buffer.subarray(0, length), { stream: true });
    this.#text = (this.#text + text).slice(-LIMIT);
  }

  /** Takes the last of it, and closes the pipe, whoever may still have it. */
  end(): string {
    if (this.#ended) return this.#text.trim();
    this.#ended = true;
    clearInterval(this.#timer);
    this.handedOver();
    this.#take();
    close(this.#read);
    return this.#text.trim();
  }
}
