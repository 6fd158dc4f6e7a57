/**
 * One-shot timers of devices. A deadline is state (it is saved and loaded); waiting for it is the main thread's work.
 */
import { struct, u64 } from "@vmm/libc";
import type { RecordSchema, StateArena } from "../arena/state-arena.ts";

const DeviceTimerState = struct("device-timer", {
  /** ns of the VM clock; 0 when not armed. */
  deadline: u64,
});

export const DEVICE_TIMER_SCHEMA: RecordSchema<{ deadline: typeof u64 }> = {
  kind: "device-timer",
  version: 1,
  compat: 1,
  layout: DeviceTimerState,
};

export class DeviceTimer {
  readonly name: string;
  #state: { deadline: bigint };
  #changed: () => void;

  /** @param changed Tells the main thread that a deadline changed. */
  constructor(arena: StateArena, name: string, changed: () => void) {
    this.name = name;
    this.#state = arena.record(`timer:${name}`, DEVICE_TIMER_SCHEMA);
    this.#changed = changed;
  }

  /** ns of the VM clock, or 0 when not armed. */
  get deadline(): number {
    return Number(this.#state.deadline);
  }

  /** Arms the timer for `deadline` ns of the VM clock (at least 1), replacing an earlier deadline. Lock held. */
  arm(deadline: number): void {
    this.#state.deadline = BigInt(Math.max(1, Math.round(deadline)));
    this.#changed();
  }

  disarm(): void {
    this.#state.deadline = 0n;
  }
}
