/** A ring of 16 bytes over a record's bytes: two fields of one byte, head and count, and the data. */

/** Depth in bytes. */
export const FIFO_DEPTH = 16;

export class ByteFifo {
  readonly #state: Uint8Array;
  readonly #head: number;
  readonly #count: number;
  readonly #data: number;

  /** @param head @param count @param data Offsets in `state`. */
  constructor(state: Uint8Array, head: number, count: number, data: number) {
    this.#state = state;
    this.#head = head;
    this.#count = count;
    this.#data = data;
  }

  get count(): number {
    return this.#state[this.#count] as number;
  }

  /** Adds a byte behind the others. A full ring stays as it is. */
  push(value: number): void {
    const count = this.count;
    if (count >= FIFO_DEPTH) return;
    const head = this.#state[this.#head] as number;
    this.#state[this.#data + ((head + count) % FIFO_DEPTH)] = value;
    this.#state[this.#count] = count + 1;
  }

  /** Takes the oldest byte; 0 where there is none. */
  shift(): number {
    const count = this.count;
    if (count === 0) return 0;
    const head = this.#state[this.#head] as number;
    this.#state[this.#head] = (head + 1) % FIFO_DEPTH;
    this.#state[this.#count] = count - 1;
    return this.#state[this.#data + head] as number;
  }

  clear(): void {
    this.#state[this.#head] = 0;
    this.#state[this.#count] = 0;
  }

  /** Brings head and count back into their range, whatever was loaded. */
  repair(): void {
    this.#state[this.#head] = (this.#state[this.#head] as number) % FIFO_DEPTH;
    this.#state[this.#count] = Math.min(this.count, FIFO_DEPTH);
  }
}
