/** The main thread's doorbell: any thread rings it with a reason; the main thread wakes and serves all reasons. */

/** Why the doorbell rang, as bits. */
export const RING = {
  /** A chardev has output to drain. */
  chardev: 1,
  /** A device timer's deadline changed. */
  timer: 2,
  /** The guest asked for a reset, a power off or the like. */
  request: 4,
  /** A vCPU ended with a report. */
  vcpu: 8,
  /** Serve nothing; look whether the machine was closed. */
  close: 16,
} as const;

type WaitAsync = (words: Int32Array, index: number, value: number) => { value: Promise<string> | string };

export class Doorbell {
  #words: Int32Array;
  #index: number;
  #closed = false;

  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  /** Rings. Costs no system call while an earlier ring with the same reason waits to be served. */
  ring(reason: keyof typeof RING): void {
    const bit = RING[reason];
    const before = Atomics.or(this.#words, this.#index, bit);
    if ((before & bit) === 0) Atomics.notify(this.#words, this.#index);
  }

  /**
   * Serves the doorbell in the main thread until `close`.
   *
   * @param serve Called with the reasons, as `RING` bits.
   */
  async listen(serve: (reasons: number) => void): Promise<void> {
    while (!this.#closed) {
      const reasons = Atomics.exchange(this.#words, this.#index, 0);
      if (reasons !== 0) serve(reasons);
      else
        await (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync(this.#words, this.#index, 0).value;
    }
  }

  close(): void {
    this.#closed = true;
    this.ring("close");
  }
}
