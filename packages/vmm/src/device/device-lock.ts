/**
 * The device lock: one mutex around all device state, held for the length of one access. QEMU's big lock, with the
 * difference that a vCPU takes it only for exits that reach a device.
 *
 * The word is 0 (free), 1 (held) or 2 (held, and somebody waits).
 */
export class DeviceLock {
  #words: Int32Array;
  #index: number;

  /** @param words A view of shared memory. @param index The word that is the lock. */
  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  acquire(): void {
    if (Atomics.compareExchange(this.#words, this.#index, 0, 1) === 0) return;
    while (Atomics.exchange(this.#words, this.#index, 2) !== 0) {
      Atomics.wait(this.#words, this.#index, 2);
    }
  }

  release(): void {
    if (Atomics.exchange(this.#words, this.#index, 0) === 2) Atomics.notify(this.#words, this.#index, 1);
  }

  /** Runs `body` with the lock held. */
  with<T>(body: () => T): T {
    this.acquire();
    try {
      return body();
    } finally {
      this.release();
    }
  }
}
