/**
 * The machine's clocks, in ns. Both follow the host, also while the VM is stopped: a live update is no reason for a
 * guest's time to stand still.
 */
import { CLOCK_REALTIME, clockGettime, i64, monotonicNs, struct } from "@vmm/libc";
import type { RecordSchema, StateArena } from "../arena/state-arena.ts";

const VmClockState = struct("vm-clock", {
  /** CLOCK_MONOTONIC at power on; adjusted at load on another boot of the host, so that `now` goes on. */
  base: i64,
});

export const VM_CLOCK_SCHEMA: RecordSchema<{ base: typeof i64 }> = {
  kind: "vm-clock",
  version: 1,
  compat: 1,
  layout: VmClockState,
};

export class VmClock {
  #state: { base: bigint };

  constructor(arena: StateArena) {
    this.#state = arena.record("vm-clock", VM_CLOCK_SCHEMA);
  }

  /** Starts the clock at zero. Main thread, at power on. */
  start(): void {
    this.#state.base = BigInt(monotonicNs());
  }

  /** Moves the base so that `now()` continues from `value` ns: after a load on another boot of the host. */
  continueFrom(value: number): void {
    this.#state.base = BigInt(monotonicNs()) - BigInt(Math.round(value));
  }

  /** ns since power on. A double holds it to the ns for 104 days, and to the µs for centuries. */
  now(): number {
    return monotonicNs() - Number(this.#state.base);
  }

  /** ns since 1970-01-01 00:00 UTC. */
  wallNs(): bigint {
    return clockGettime(CLOCK_REALTIME);
  }
}
