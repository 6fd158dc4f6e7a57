/**
 * Telling all vCPUs to pause by one list of system calls: from the first word to the moment in which this thread sleeps, until
 * they have, no JavaScript runs. It takes some 20 µs from one call to the next, when it has not run for a moment, and all that
 * time a vCPU may be waiting for this thread's processor.
 */
import { type BatchCall, CLOCK_MONOTONIC, SYS, SyscallList, Timespec } from "@vmm/libc";
import type { AccelVcpu } from "../accel/accelerator.ts";
import type { VcpuControl } from "./vcpu-control.ts";

export interface KickedThread {
  readonly vcpu: AccelVcpu;
  readonly control: VcpuControl;
}

/** System calls to be made with a kick. */
export interface KickCalls {
  readonly before: readonly BatchCall[];
  /** As soon as all were told. */
  readonly after: readonly BatchCall[];
}

export const NO_CALLS: KickCalls = { before: [], after: [] };

export class Kick {
  readonly #threads: readonly KickedThread[];
  readonly #tids: readonly number[];
  readonly #since = Timespec.alloc();
  readonly #calls: SyscallList;

  /** @param waits Whether this thread sleeps until they have paused. */
  constructor(threads: readonly KickedThread[], { before, after }: KickCalls, waits: boolean) {
    this.#threads = threads;
    this.#tids = threads.map(({ control }) => control.tid);
    const noteTime = { number: SYS.clock_gettime, args: [CLOCK_MONOTONIC, this.#since.$view] };
    this.#calls = new SyscallList([
      ...before,
      noteTime,
      // the word before the kick: see `VcpuControl`
      ...threads.map(({ control }) => control.pauseCall),
      // a thread that has ended since is none to be sent a signal: it is at its event loop, where that kills
      ...threads.flatMap(({ vcpu, control }) => vcpu.interruptCalls(control.tidArgument)),
      ...after,
      ...(waits ? threads.map(({ control }) => control.awaitPauseCall) : []),
    ]);
  }

  /**
   * Tells them. Most are paused then, where this thread waits, but not all must be.
   *
   * @returns False where that has to be done by other means: threads have come up since, or are yet to, or something failed.
   */
  make(): boolean {
    if (this.#threads.some(({ control }, i) => control.tid === 0 || control.tid !== this.#tids[i]))
      return false;
    return this.#calls.make();
  }

  /** When the first was told, in ns of CLOCK_MONOTONIC; `undefined` where none was. */
  get sinceNs(): number | undefined {
    return Number(this.#since.tv_sec) * 1e9 + Number(this.#since.tv_nsec) || undefined;
  }
}
