/**
 * System calls that were laid out ahead, for when they are to follow one another at once: between two calls out of JavaScript
 * that has not run for a moment pass some 20 µs.
 */
import { CFunction, type Pointer } from "bun:ffi";
import { addressOf } from "./memory.ts";
import { type BatchCall, batchSize, encodeBatch, NOT_MADE, walkCode } from "./syscall-batch.ts";

/** `SYSCALL_WALK` as a function. */
let walkHere: CallableFunction | undefined;

export class SyscallList {
  /** Takes long to make: not by the first list that is in a hurry. */
  readonly #walk: CallableFunction;
  readonly #address: number;
  readonly #results: BigInt64Array;
  /** What they read is kept alive. */
  readonly #calls: readonly BatchCall[];
  readonly #last: number;
  readonly #lastMayFail: boolean;

  constructor(calls: readonly BatchCall[]) {
    walkHere ??= CFunction({ ptr: walkCode() as Pointer, args: ["ptr"], returns: "void" });
    this.#walk = walkHere;
    const buffer = new ArrayBuffer(batchSize(calls.length));
    this.#address = addressOf(buffer);
    this.#results = encodeBatch(calls, { buffer, offset: 0, address: this.#address });
    this.#calls = calls;
    this.#last = calls.length - 1;
    this.#lastMayFail = calls.at(-1)?.mayFail ?? false;
  }

  /** Makes the calls, in the calling thread. Returns whether all of them went well that may not fail. */
  make(): boolean {
    if (this.#calls.length === 0) return true;
    this.#results[this.#last] = NOT_MADE;
    this.#walk(this.#address);
    const last = this.#results[this.#last] as bigint;
    return last >= 0n || (this.#lastMayFail && last !== NOT_MADE);
  }

  /** What a call that was made has given: a negative errno where it failed. */
  result(call: number): number {
    return Number(this.#results[call]);
  }
}
