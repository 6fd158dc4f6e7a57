/** Where the time of an update goes: named phases on CLOCK_MONOTONIC, begun by one process and ended by the next. */
import { monotonicNs } from "@vmm/libc";

export interface Phase {
  readonly name: string;
  /** CLOCK_MONOTONIC in ns. */
  readonly startNs: number;
  readonly endNs: number;
}

/** The most phases that are kept. */
export const MAX_PHASES = 256;

export class PhaseClock {
  #phases: Phase[];
  #open: { name: string; startNs: number } | undefined;

  /** @param earlier Phases that the process before has timed. */
  constructor(earlier: readonly Phase[] = []) {
    this.#phases = [...earlier];
  }

  /** Begins a phase; the one that is open ends at the same moment. Returns that moment. */
  begin(name: string, at: number = monotonicNs()): number {
    this.end(at);
    this.#open = { name, startNs: at };
    return at;
  }

  /** Ends the open phase, if there is one. */
  end(at: number = monotonicNs()): void {
    if (this.#open && this.#phases.length < MAX_PHASES) this.#phases.push({ ...this.#open, endNs: at });
    this.#open = undefined;
  }

  /** The phases that have ended, and the open one as if it ended now. */
  list(now: number = monotonicNs()): Phase[] {
    return this.#open ? [...this.#phases, { ...this.#open, endNs: now }] : [...this.#phases];
  }
}
