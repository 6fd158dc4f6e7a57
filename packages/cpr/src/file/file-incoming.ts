/** A guest that comes from a file: cpr-reboot and normal. */
import { monotonicNs } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import { FdTable } from "../fd-table.ts";
import type { RamBlock } from "../host.ts";
import { IdTable } from "../id-table.ts";
import type { IncomingGuest, IncomingOutcome } from "../incoming/incoming-guest.ts";
import { PhaseClock } from "../phases.ts";
import { ramChanges } from "../ram/file-time.ts";
import { currentBootId } from "../state/clocks.ts";
import type { DecodedState } from "../state/codec.ts";
import { SavedFile } from "./saved-file.ts";

export class FileIncoming implements IncomingGuest {
  readonly fds: FdTable;
  readonly ids = new IdTable();
  readonly phases = new PhaseClock();
  /** `afterRun` leaves nothing for later. */
  readonly settled = Promise.resolve();
  readonly #file: SavedFile;
  readonly #startNs: number;
  #ramBytes = 0;
  #ramLoaded = false;
  #blocks: readonly RamBlock[] = [];
  #runNs = 0;

  /**
   * @param offset In bytes from the start of the file.
   * @param fds The table of the process, which the file adds nothing to.
   * @throws CprError `save`, `state-*`
   */
  constructor(path: string, offset = 0, fds = new FdTable()) {
    this.fds = fds;
    this.#startNs = this.phases.begin("read state");
    this.#file = new SavedFile(path, offset);
  }

  load(): DecodedState {
    return this.#file.state;
  }

  loadRam(blocks: readonly RamBlock[]): void {
    for (const bytes of this.loadRamStepwise(blocks)) this.#ramBytes = bytes;
  }

  /** As `loadRam`, for whoever has something else to do meanwhile: yields after each step. */
  *loadRamStepwise(blocks: readonly RamBlock[]): Generator<number> {
    if (this.#ramLoaded) return;
    for (const bytes of this.#file.loadRam(blocks)) {
      this.#ramBytes = bytes;
      yield bytes;
    }
    this.#ramLoaded = true;
    this.#blocks = blocks;
  }

  /** Nobody else has this guest. */
  commit(): void {
    if (!this.#ramLoaded) throw new CprError("ram", "the guest's RAM was not loaded");
    for (const { path, fd } of this.#blocks) if (path !== undefined && fd !== undefined) ramChanges(fd);
  }

  async afterRun(runNs: number = monotonicNs()): Promise<void> {
    this.#runNs = runNs;
    this.phases.end(runNs);
    this.#file.close();
  }

  outcome(): IncomingOutcome {
    const { mode, bootId, stoppedMonotonicNs } = this.#file.state.header;
    return {
      mode,
      status: "completed",
      startNs: this.#startNs,
      setupEndNs: 0,
      stoppedNs: bootId === currentBootId() ? stoppedMonotonicNs : 0,
      runNs: this.#runNs,
      phases: this.phases.list(),
      stateBytes: this.#file.stateBytes,
      ramBytes: this.#ramBytes,
    };
  }

  fallback(error: unknown): never {
    this.#file.close();
    throw error;
  }
}
