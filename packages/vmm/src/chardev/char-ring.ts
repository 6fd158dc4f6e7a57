/**
 * The arena record of a chardev: what the guest wrote and what it is to read, as two rings between the vCPU threads and
 * the main thread.
 *
 * Each direction has one writer and one reader at a time (the guest side under the device lock, the main thread without
 * it). Positions count bytes since power on and never go back: they are 64-bit in the record, and the low half is what
 * the threads exchange, for a ring is far shorter than 2^32.
 */
import { array, bytes, struct, u32, u64 } from "@vmm/libc";
import type { RecordSchema, StateArena } from "../arena/state-arena.ts";
import type { CharPort } from "./char-port.ts";

/** Size of the ring of what the guest wrote, in bytes. What it holds beyond the undrained bytes is history. */
export const TX_SIZE = 64 * 1024;
/** The most bytes of history: one place less than the ring, as the guest may be writing to that one. */
export const HISTORY_SIZE = TX_SIZE - 1;
/** Size of the ring of what the guest is to read, in bytes. */
export const RX_SIZE = 4 * 1024;
/** How many readers of the output have a position that survives a live update. */
export const MAX_READERS = 16;

const fields = {
  /** Bytes the guest has written. */
  written: u64,
  /** Bytes the host side has taken of them. */
  drained: u64,
  /** Bytes that came in for the guest. */
  received: u64,
  /** Bytes the guest has read of them. */
  consumed: u64,
  /** How far each client of a console has been served. */
  readers: array(u64, MAX_READERS),
  /** 1 while the main thread has been told that there is work, and has not begun it. */
  rung: u32,
  /** 1 where the guest side found no room and waits for it. */
  roomAwaited: u32,
  /** 1 where the main thread found no room and waits for it. */
  spaceAwaited: u32,
  tx: bytes(TX_SIZE),
  rx: bytes(RX_SIZE),
};

const CharRingState = struct("chardev", fields);

export const CHARDEV_SCHEMA: RecordSchema<typeof fields> = {
  kind: "chardev",
  version: 1,
  compat: 1,
  layout: CharRingState,
};

// 32-bit words of the record. A position's second word is its high half.
const word = (name: keyof typeof fields) => CharRingState.offsets[name] / 4;
const WRITTEN = word("written");
const DRAINED = word("drained");
const RECEIVED = word("received");
const CONSUMED = word("consumed");
const READERS = word("readers");
const RUNG = word("rung");
const ROOM_AWAITED = word("roomAwaited");
const SPACE_AWAITED = word("spaceAwaited");

export class CharRing implements CharPort {
  readonly id: string;
  #words: Uint32Array;
  #tx: Uint8Array;
  #rx: Uint8Array;
  #doorbell: () => void;
  #handlers: (() => void)[] = [];

  /**
   * @param id The chardev's id.
   * @param doorbell Called in a thread that gave the main thread something to do, not again before it has begun.
   */
  constructor(arena: StateArena, id: string, doorbell: () => void) {
    this.id = id;
    const state = arena.record(`chardev:${id}`, CHARDEV_SCHEMA);
    this.#words = new Uint32Array(state.$view.buffer, state.$view.byteOffset, CharRingState.offsets.tx / 4);
    this.#tx = state.tx;
    this.#rx = state.rx;
    this.#doorbell = doorbell;
  }

  // The guest side: any thread, with the device lock.

  canWrite(): boolean {
    if (this.undrained < TX_SIZE) return true;
    Atomics.store(this.#words, ROOM_AWAITED, 1);
    // room may have come between the look and the wish
    return this.undrained < TX_SIZE;
  }

  write(byte: number): void {
    if (this.undrained >= TX_SIZE) return;
    this.#tx[this.#low(WRITTEN) % TX_SIZE] = byte;
    this.#advance(WRITTEN, 1);
    this.#ring();
  }

  read(): number {
    if (this.readable() === 0) return -1;
    const byte = this.#rx[this.#low(CONSUMED) % RX_SIZE] as number;
    this.#advance(CONSUMED, 1);
    if (this.#hasSpace && Atomics.exchange(this.#words, SPACE_AWAITED, 0) === 1) this.#ring();
    return byte;
  }

  readable(): number {
    return (this.#low(RECEIVED) - this.#low(CONSUMED)) >>> 0;
  }

  onEvent(handler: () => void): void {
    this.#handlers.push(handler);
  }

  // The host side: the main thread.

  /** Calls the port's handlers. With the device lock held. */
  notify(): void {
    for (const handler of this.#handlers) handler();
  }

  /** Begins the work that the doorbell rang for: what comes from now on rings it again. */
  answer(): void {
    Atomics.store(this.#words, RUNG, 0);
  }

  /** Whether the guest side has been waiting for room that there is now. It is to be notified then. */
  takeRoomAwaited(): boolean {
    return this.undrained < TX_SIZE && Atomics.exchange(this.#words, ROOM_AWAITED, 0) === 1;
  }

  /** Bytes that the guest wrote and the host side has not taken. */
  get undrained(): number {
    return (this.#low(WRITTEN) - this.#low(DRAINED)) >>> 0;
  }

  /**
   * Offers to `sink`, in order, the bytes that are undrained now, until it takes fewer than it is offered.
   *
   * @param sink Returns how many bytes it took. The bytes are in place, and only valid during the call.
   * @returns How many bytes were taken.
   */
  drain(sink: (bytes: Uint8Array) => number): number {
    const all = this.undrained;
    let total = 0;
    while (total < all) {
      const at = this.#low(DRAINED) % TX_SIZE;
      const chunk = this.#tx.subarray(at, Math.min(at + all - total, TX_SIZE));
      const taken = sink(chunk);
      this.#advance(DRAINED, taken);
      total += taken;
      if (taken < chunk.length) break;
    }
    return total;
  }

  /** Takes all undrained bytes without looking at them. */
  discard(): void {
    this.#advance(DRAINED, this.undrained);
  }

  /** The position behind the last byte written. Of 2^32 and more only the low half is given. */
  get written(): number {
    return this.#low(WRITTEN);
  }

  /** The position of the oldest byte that the ring still holds. */
  get oldest(): number {
    const written = this.#low(WRITTEN);
    // the high half is read second: it grows first
    const full = written > HISTORY_SIZE || Atomics.load(this.#words, WRITTEN + 1) > 0;
    return full ? (written - HISTORY_SIZE) >>> 0 : 0;
  }

  /**
   * Copies what was written from `position` on.
   *
   * @returns At most `limit` bytes; `undefined` where the ring does not hold that position any more.
   */
  copyFrom(position: number, limit = HISTORY_SIZE): Uint8Array | undefined {
    const length = Math.min((this.#low(WRITTEN) - position) >>> 0, limit);
    const copy = new Uint8Array(length);
    const at = position % TX_SIZE;
    const first = this.#tx.subarray(at, Math.min(at + length, TX_SIZE));
    copy.set(first);
    copy.set(this.#tx.subarray(0, length - first.length), first.length);
    // the guest may have written over the beginning meanwhile
    return (this.#low(WRITTEN) - position) >>> 0 > HISTORY_SIZE ? undefined : copy;
  }

  /** What was written last, at most `HISTORY_SIZE` bytes. */
  history(): Uint8Array {
    for (;;) {
      const copy = this.copyFrom(this.oldest);
      if (copy) return copy;
    }
  }

  /** The position of one of the `MAX_READERS` readers that survive a live update. */
  readerPosition(reader: number): number {
    return this.#low(READERS + 2 * reader);
  }

  setReaderPosition(reader: number, position: number): void {
    Atomics.store(this.#words, READERS + 2 * reader, position);
  }

  /**
   * Hands bytes to the guest. Where not all find room the doorbell rings when there is space again. The caller notifies
   * the port.
   *
   * @returns How many were accepted.
   */
  push(input: Uint8Array): number {
    const accepted = this.#put(input);
    if (accepted === input.length || !this.awaitSpace()) return accepted;
    return accepted + this.#put(input.subarray(accepted));
  }

  /** Has the doorbell ring when half of the ring is free. Returns whether it is already. */
  awaitSpace(): boolean {
    Atomics.store(this.#words, SPACE_AWAITED, 1);
    return this.#hasSpace;
  }

  /** Free bytes in the ring of what the guest is to read. */
  get space(): number {
    return Math.max(0, RX_SIZE - this.readable());
  }

  /** Puts right positions that a loaded record has wrong. With the device lock held. */
  repair(): void {
    if (this.undrained > TX_SIZE) this.discard();
    if (this.readable() > RX_SIZE) this.#advance(CONSUMED, this.readable());
  }

  #put(input: Uint8Array): number {
    const count = Math.min(input.length, this.space);
    const at = this.#low(RECEIVED) % RX_SIZE;
    const first = input.subarray(0, Math.min(count, RX_SIZE - at));
    this.#rx.set(first, at);
    this.#rx.set(input.subarray(first.length, count), 0);
    this.#advance(RECEIVED, count);
    return count;
  }

  /** Half of the ring, so that a main thread that waits for space is not woken byte by byte. */
  get #hasSpace(): boolean {
    return this.space >= RX_SIZE / 2;
  }

  #ring(): void {
    if (Atomics.exchange(this.#words, RUNG, 1) === 0) this.#doorbell();
  }

  #low(at: number): number {
    return Atomics.load(this.#words, at);
  }

  /** Moves a position on. Only its one writer does. */
  #advance(at: number, count: number): void {
    const next = (this.#low(at) + count) >>> 0;
    if (next < count) Atomics.add(this.#words, at + 1, 1);
    Atomics.store(this.#words, at, next);
  }
}
