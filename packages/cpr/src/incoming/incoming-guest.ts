/** A guest that this process is to go on with, wherever it comes from. */
import type { FdTable } from "../fd-table.ts";
import type { RamBlock } from "../host.ts";
import type { IdTable } from "../id-table.ts";
import type { MigrationMode } from "../modes.ts";
import type { Phase, PhaseClock } from "../phases.ts";
import type { DecodedState } from "../state/codec.ts";

/** A time in which no vCPU ran, in ns of CLOCK_MONOTONIC. */
export interface Standstill {
  readonly fromNs: number;
  readonly toNs: number;
}

/** How it went, as the new process knows it once the guest runs. */
export interface IncomingOutcome {
  readonly mode: MigrationMode;
  /** `failed`: the guest runs, but under the old command; `reason` says why. */
  readonly status: "completed" | "failed";
  readonly reason?: string;
  /** All in ns of CLOCK_MONOTONIC. */
  readonly startNs: number;
  readonly setupEndNs: number;
  /** When the stop of the vCPUs began; 0 where that was on another boot of the host. */
  readonly stoppedNs: number;
  /** When the last vCPU ran again. */
  readonly runNs: number;
  /** When the guest stood still, where that was not from `stoppedNs` to `runNs`. */
  readonly standstills?: readonly Standstill[];
  readonly phases: readonly Phase[];
  /** Bytes of saved state. */
  readonly stateBytes: number;
  /** Bytes of RAM that came with it. */
  readonly ramBytes?: number;
}

/** Calls come in this order: `load`, `loadRam`, `commit`, `afterRun`, `outcome`; `fallback` in place of any of them. */
export interface IncomingGuest {
  /** The preserved fds: what is found here must not be created anew. */
  readonly fds: FdTable;
  readonly ids: IdTable;
  /** The phases so far; begin further ones as the load goes on. */
  readonly phases: PhaseClock;
  /**
   * The saved state. Nothing of the kernel's needs to be touched before it is known to be whole.
   *
   * @throws CprError `state-*`
   */
  load(): DecodedState;
  /** Fills the machine's RAM, where it is not in place. @throws CprError `state-*`, `ram` */
  loadRam?(blocks: readonly RamBlock[]): void;
  /**
   * Takes the guest: to be called right before the first KVM_RUN of any vCPU. From here on there is no way back.
   *
   * @throws CprError `commit-lost` where another process has taken it. This one must end without running the guest.
   */
  commit(): void;
  /**
   * Cleans up once the guest runs. Resolves when nothing of the update is left.
   *
   * @param runNs When the last vCPU ran, on CLOCK_MONOTONIC.
   * @param others What else of the update is to be gone by then.
   */
  afterRun(runNs?: number, standstills?: readonly Standstill[], others?: Promise<void>): Promise<void>;
  /** What `afterRun` has returned: the next update has to wait for it. */
  readonly settled: Promise<void>;
  outcome(): IncomingOutcome;
  /** The guest cannot be run here: lets it go on elsewhere where that is possible. Never returns. */
  fallback(error: unknown): never;
}
