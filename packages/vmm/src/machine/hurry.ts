/**
 * Who runs when, around the moments in which a guest stands still; `docs/decisions.md` has the reasons. While it does, the
 * threads that it waits for run before all ordinary threads of the host, where the process may: on a busy one each of them
 * would else wait several times for its turn. In a cpr-exec that is the main thread, as long as it takes to give the vCPUs to
 * agents, or to take them; vCPU threads on their way out of guest mode, where they fill the host; and threads that wait to run
 * the vCPUs.
 *
 * Where each processor of the host has a vCPU, guest code never runs so: it would leave other threads no time, and our own
 * main thread may need something that one of them holds. There a vCPU thread ends its hurry itself before it runs the guest.
 */
import {
  type BatchCall,
  keepApart,
  mayRunFirst,
  processorsOf,
  runFirst,
  runFirstLater,
  sleepCall,
  usleep,
} from "@vmm/libc";
import type { VcpuBridge } from "../accel/accelerator.ts";
import { type KickCalls, NO_CALLS } from "./kick.ts";
import type { Machine } from "./machine.ts";

/** Time for what was set going to come to rest (µs). */
const REST_US = 1000;
/** Time for threads that were woken to begin (µs). */
const BEGIN_US = 200;

/**
 * Right before a pause: lets the vCPUs have the processors that what was prepared for it has kept busy, compilers' threads
 * among them. A vCPU that waits for its turn as the pause begins stands still for longer than the pause.
 */
export const letRest = (): void => usleep(REST_US);

/**
 * The same at the beginning of a list of calls: where vCPUs fill the host, one of them loses its processor to this thread as
 * soon as that wakes, and waits for whatever JavaScript it runs first.
 */
export const REST_CALL: BatchCall = sleepCall(REST_US);

/**
 * Right after a pause: lets the vCPUs begin, before this thread goes on. One that was woken on the processor of the thread
 * that woke it waits there until that sleeps, for a tick if need be.
 */
export const letBegin = (): void => usleep(BEGIN_US);

/** The main thread comes first: the vCPU threads wait for it. */
const MAIN = 2;
const VCPU = 1;

/** Whether so many vCPUs leave no processor to anybody else, of those that this process may use. */
export const fillsHost = (vcpus: number): boolean => vcpus >= processorsOf().length;

export class Hurry {
  readonly #ends: (() => void)[] = [];

  /** Hurries the calling thread, the main one. */
  main(): this {
    this.#begin(0, MAIN);
    return this;
  }

  /** Hurries the vCPU threads that are up, until the end. */
  vcpus({ vm, control }: Machine): this {
    const fillHost = fillsHost(vm.vcpus.length);
    if (fillHost) this.apart(vm.vcpus.map(({ index }) => control.vcpu(index).tid).filter((tid) => tid !== 0));
    for (const { index } of vm.vcpus) {
      const thread = control.vcpu(index);
      // one that is not hurried keeps the policy that whoever started the VMM has given it
      if (thread.tid === 0 || !this.#begin(thread.tid, VCPU)) continue;
      thread.hurried = fillHost;
      this.#ends.push(() => {
        thread.hurried = false;
      });
    }
    return this;
  }

  /**
   * Hurries the main thread before vCPUs are kicked, and where they fill the host their threads on the way out of guest mode:
   * by system calls that are yet to be made.
   */
  leaving({ vm, control }: Machine): KickCalls {
    if (!mayRunFirst(MAIN)) return NO_CALLS;
    const tids = fillsHost(vm.vcpus.length) ? vm.vcpus.map(({ index }) => control.vcpu(index).tid) : [];
    return {
      before: this.#later(0, MAIN),
      after: tids.flatMap((tid) => (tid === 0 ? [] : this.#later(tid, VCPU))),
    };
  }

  /** Hurries threads that wait to run the vCPUs, until they do. */
  bridge(bridge: VcpuBridge): this {
    this.apart(bridge.tids);
    for (const tid of bridge.tids) if (this.#begin(tid, VCPU)) bridge.endHurry(tid);
    return this;
  }

  /** Keeps threads apart that are told to run at once, and from the main thread as far as there are processors. */
  apart(tids: readonly number[]): this {
    this.#ends.push(keepApart(tids));
    return this;
  }

  #later(tid: number, priority: number): BatchCall[] {
    const later = runFirstLater(tid, priority);
    if (!later) return [];
    this.#ends.push(later.end);
    return [later.call];
  }

  /** Returns whether it could. */
  #begin(tid: number, priority: number): boolean {
    const end = runFirst(tid, priority);
    if (end) this.#ends.push(end);
    return end !== undefined;
  }

  /** The main thread was the first to begin, and is the last to end. */
  end(): void {
    for (const end of this.#ends.splice(0).reverse()) end();
  }
}
