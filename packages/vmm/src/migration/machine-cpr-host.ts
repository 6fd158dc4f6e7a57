/** The machine as live update drives it: QEMU's migration core would call the same things by other names. */
import {
  type CprHost,
  type FdTable,
  IdTable,
  type MigrationStatus,
  type RamBlock,
  type SavedRecord,
} from "@vmm/cpr";
import type { Machine } from "../machine/machine.ts";
import { previewMachineState } from "../machine/machine-state.ts";
import type { RunState } from "../run-state/index.ts";
import { VERSION } from "../version.ts";

export interface MachineCprHostOptions {
  readonly machine: Machine;
  readonly ids?: IdTable;
  /** See `CprHost.command`. */
  readonly command: readonly string[];
  /** Gives up what a program on the same terminal must not inherit; the result takes it back. */
  readonly leaveTerminal: () => () => void;
}

export class MachineCprHost implements CprHost {
  readonly version = VERSION;
  readonly fds: FdTable;
  readonly ids: IdTable;
  readonly environment = process.env;
  readonly command: readonly string[];
  readonly leaveTerminal: () => () => void;
  #machine: Machine;
  #before: RunState = "prelaunch";

  constructor({ machine, ids, command, leaveTerminal }: MachineCprHostOptions) {
    this.#machine = machine;
    this.fds = machine.fds;
    this.ids = ids ?? new IdTable();
    this.command = command;
    this.leaveTerminal = leaveTerminal;
  }

  runState(): string {
    return this.#machine.runState.current;
  }

  isRunning(): boolean {
    return this.#machine.running;
  }

  ramBlocks(): RamBlock[] {
    return this.#machine.memory.backends.map((backend, index) => ({
      name: backend.id,
      size: backend.size,
      shared: backend.share && backend.fd !== undefined,
      origin: index === 0 ? "backend" : "aux",
      ...(index === 0 && this.#machine.config.memory.path !== undefined
        ? { path: this.#machine.config.memory.path }
        : {}),
    }));
  }

  describe(): { name: string; cpus: number; memory: number } {
    const { name, cpus, memory } = this.#machine.config;
    return { name, cpus, memory: memory.size };
  }

  stop(): void {
    const { runState } = this.#machine;
    this.#before = runState.current;
    if (this.#before === "running") this.#machine.pauseExecution();
    runState.set("finish-migrate");
    if (this.#before === "running") this.#machine.events.emit("STOP", {});
  }

  resume(): void {
    this.#machine.runState.set(this.#before);
    if (this.#before !== "running") return;
    this.#machine.resumeExecution();
    this.#machine.events.emit("RESUME", {});
  }

  detachIrqfds(): () => void {
    return this.#machine.vm.detachIrqfds();
  }

  saveState(): readonly SavedRecord[] {
    return this.#machine.save();
  }

  previewState(): readonly SavedRecord[] {
    return previewMachineState(this.#machine);
  }

  postmigrate(): void {
    this.#machine.runState.set("postmigrate");
  }

  statusChanged(status: MigrationStatus): void {
    this.#machine.events.emit("MIGRATION", { status });
  }

  log(line: string): void {
    console.error(`vmm: ${line}`);
  }
}
