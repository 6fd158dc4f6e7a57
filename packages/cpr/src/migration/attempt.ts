/** One migration from its start to its end: what its steps share. */
import { CprError } from "../cpr-error.ts";
import type { CprHost } from "../host.ts";
import type { MigrationMode } from "../modes.ts";
import { PhaseClock } from "../phases.ts";
import { UndoLog } from "../undo-log.ts";

export class Attempt {
  readonly host: CprHost;
  readonly mode: MigrationMode;
  readonly undo = new UndoLog();
  readonly phases = new PhaseClock();
  /** CLOCK_MONOTONIC in ns; 0 where it has not come to that. */
  readonly startNs: number;
  setupEndNs = 0;
  stoppedNs = 0;
  endNs = 0;
  /** Bytes of saved state. */
  stateBytes = 0;
  /** Bytes of RAM that were copied. */
  ramBytes = 0;
  /** Somebody else has won the commit word: this process must not run the guest. */
  lost = false;
  #cancelled = false;

  constructor(host: CprHost, mode: MigrationMode, firstPhase: string) {
    this.host = host;
    this.mode = mode;
    this.startNs = this.phases.begin(firstPhase);
  }

  cancel(): void {
    this.#cancelled = true;
  }

  /** Throws where the migration is to be cancelled: asked wherever it waits. */
  readonly goOn = (): void => {
    if (this.#cancelled) throw new CprError("cancelled", "the migration was cancelled");
  };
}
