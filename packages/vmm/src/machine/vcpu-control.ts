/**
 * How the main thread steers a vCPU thread: one word says what is wanted, one what the thread does. The wanted word is
 * written before the vCPU is kicked, and the thread reads it again after it took the kick, so no request is missed.
 */

import {
  addressOf,
  type BatchArgument,
  type BatchCall,
  futexWait,
  futexWaitCall,
  futexWake,
  storeCall,
} from "@vmm/libc";

/** What is wanted of the thread. */
export const WANT = { pause: 0, run: 1, quit: 2, stayAwake: 3 } as const;

/** What the thread does. */
export const VCPU_STATE = { starting: 0, paused: 1, running: 2, ended: 3 } as const;

const WANTED = 0;
const STATE = 1;
const TID = 2;
const ACCESSES = 3;
const HURRIED = 4;

/** For so long a thread is looked at again and again before its waker is waited for. */
const SPIN_MS = 0.5;
/** A thread that is well leaves guest mode in this time. */
const AT_ONCE_MS = 10;
/** The longest time that a thread stays awake for a wish that is about to come. */
const AWAKE_MS = 10;

export class VcpuControl {
  #words: Int32Array;
  #base: number;
  /**
   * Of the words. Who waits for what the thread does waits in the kernel: `Atomics.notify` holds a lock that the thread which
   * it wakes wants first, and where that one takes the processor at once, it waits for its waker twice.
   */
  #address: number;

  constructor(words: Int32Array, base: number) {
    this.#words = words;
    this.#base = base;
    this.#address = addressOf(words) + 4 * base;
  }

  get wanted(): number {
    return Atomics.load(this.#words, this.#base + WANTED);
  }

  /** Says what is wanted and wakes the thread if it is paused. */
  want(what: keyof typeof WANT): void {
    Atomics.store(this.#words, this.#base + WANTED, WANT[what]);
    Atomics.notify(this.#words, this.#base + WANTED);
  }

  /** `want("pause")` of a thread that runs its vCPU, for a list of system calls. */
  get pauseCall(): BatchCall {
    return storeCall(this.#address + 4 * WANTED, WANT.pause);
  }

  /** For a list: waits a moment for the thread not to run its vCPU any more. `awaitLeaving` is to follow. */
  get awaitPauseCall(): BatchCall {
    return futexWaitCall(this.#address + 4 * STATE, VCPU_STATE.running, AT_ONCE_MS * 1e6);
  }

  /** The vCPU thread's own wish to pause, after a request of the guest; an outside request to quit stays. */
  pauseSelf(): void {
    Atomics.compareExchange(this.#words, this.#base + WANTED, WANT.run, WANT.pause);
  }

  get state(): number {
    return Atomics.load(this.#words, this.#base + STATE);
  }

  enter(state: keyof typeof VCPU_STATE): void {
    Atomics.store(this.#words, this.#base + STATE, VCPU_STATE[state]);
    futexWake(this.#address + 4 * STATE);
  }

  /** The thread's id once it is up, else 0. */
  get tid(): number {
    return Atomics.load(this.#words, this.#base + TID);
  }

  /** The same for a list of calls, as it is when the call is made. */
  get tidArgument(): BatchArgument {
    return { wordAt: this.#address + 4 * TID };
  }

  set tid(tid: number) {
    Atomics.store(this.#words, this.#base + TID, tid);
  }

  /** How often the vCPU has gone to a device, modulo 2^32. Only its thread counts. */
  get accesses(): number {
    return this.#words[this.#base + ACCESSES] as number;
  }

  noteAccess(): void {
    (this.#words[this.#base + ACCESSES] as number)++;
  }

  /** Whether the thread has a real-time priority that it is to give back before it runs the guest. */
  set hurried(value: boolean) {
    Atomics.store(this.#words, this.#base + HURRIED, value ? 1 : 0);
  }

  /** Whether that is so, once. */
  takeHurried(): boolean {
    return Atomics.exchange(this.#words, this.#base + HURRIED, 0) === 1;
  }

  /** In the vCPU thread: sleeps while a pause is wanted. Returns true to run, false to quit. */
  awaitRun(): boolean {
    for (;;) {
      const wanted = this.wanted;
      if (wanted !== WANT.pause && wanted !== WANT.stayAwake) return wanted === WANT.run;
      this.enter("paused");
      if (wanted === WANT.stayAwake && this.#spin()) continue;
      Atomics.wait(this.#words, this.#base + WANTED, wanted);
    }
  }

  /** Looks for another wish again and again for a while. True where there is one. */
  #spin(): boolean {
    const end = performance.now() + AWAKE_MS;
    while (performance.now() < end) if (this.wanted !== WANT.stayAwake) return true;
    return false;
  }

  /**
   * Waits until the thread is in none of the given states. False where that takes more than `timeoutMs`.
   *
   * @param spins Whether it may be looked at again and again for a moment, which takes a processor.
   */
  awaitLeaving(states: readonly (keyof typeof VCPU_STATE)[], timeoutMs: number, spins = false): boolean {
    const left = states.map((name) => VCPU_STATE[name] as number);
    const start = performance.now();
    for (;;) {
      const state = this.state;
      if (!left.includes(state)) return true;
      const passed = performance.now() - start;
      // to be woken takes as long as most threads take to get there
      if (spins && passed < SPIN_MS) continue;
      const rest = timeoutMs - passed;
      if (rest <= 0) return false;
      futexWait(this.#address + 4 * STATE, state, rest * 1e6);
    }
  }
}
