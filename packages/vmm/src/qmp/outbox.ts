import { SyscallError, sendmsg } from "@vmm/libc";

/** With more than this waiting to be written, a client's further requests wait (bytes). */
const HIGH_WATER = 64 * 1024;
/** A client that leaves more than this unread is dropped (bytes). */
export const MAX_UNREAD = 4 << 20;

/** What is to be written to a socket whose reader may be slow. */
export class Outbox {
  #fd: number;
  #blocked: () => void;
  #failed: () => void;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #waiting: (() => void)[] = [];

  /**
   * @param blocked Called when the socket is full: call `flush` when it has room.
   * @param failed Called when nothing can be written any more, or too much is unread.
   */
  constructor(fd: number, blocked: () => void, failed: () => void) {
    this.#fd = fd;
    this.#blocked = blocked;
    this.#failed = failed;
  }

  /** Bytes that wait. */
  get size(): number {
    return this.#size;
  }

  send(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    if (this.#chunks.length === 1) this.flush();
    if (this.#size > MAX_UNREAD) this.#failed();
  }

  /** Writes what the socket takes. */
  flush(): void {
    try {
      for (let chunk = this.#chunks[0]; chunk; chunk = this.#chunks[0]) {
        const written = sendmsg(this.#fd, chunk);
        if (written === undefined) {
          this.#blocked();
          break;
        }
        this.#size -= written;
        if (written === chunk.length) this.#chunks.shift();
        else this.#chunks[0] = chunk.subarray(written);
      }
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#failed();
    }
    if (this.#size <= HIGH_WATER) this.#release();
  }

  /** Resolves when little enough waits, or nothing will be written any more. */
  async room(): Promise<void> {
    if (this.#size > HIGH_WATER) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Forgets what waits. */
  close(): void {
    this.#chunks = [];
    this.#size = 0;
    this.#release();
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
