/** The machine as live update drives it: QEMU's migration core would call the same things by other names. */
import {
  type CprHost,
  type FdTable,
  IdTable,
  type JsonObject,
  type MigrationMode,
  type MigrationStatus,
  type RamBlock,
  type SavedRecord,
  type UndoLog,
} from "@vmm/cpr";
import { monotonicNs } from "@vmm/libc";
import type { RunningOn, WaitingVcpuRunners } from "../accel/accelerator.ts";
import { type Chardev, type ChardevRole, rolesOf } from "../chardev/index.ts";
import { fillsHost, Hurry, letBegin, letRest, REST_CALL } from "../machine/hurry.ts";
import type { Kick } from "../machine/kick.ts";
import { awaitLull } from "../machine/lull.ts";
import type { Machine } from "../machine/machine.ts";
import { previewMachineState } from "../machine/machine-state.ts";
import { hearSignals, heldSignal, holdEndSignals, letEndSignalsIn } from "../process/end-signals.ts";
import type { RunState } from "../run-state/index.ts";
import { VERSION } from "../version.ts";
import { VmmError } from "../vmm-error.ts";
import { ramBlocksOf } from "./ram-blocks.ts";

export interface MachineCprHostOptions {
  readonly machine: Machine;
  readonly ids?: IdTable;
  /** See `CprHost.command`. */
  readonly command: readonly string[];
  readonly chardevs: readonly Chardev[];
}

export class MachineCprHost implements CprHost {
  readonly version = VERSION;
  readonly fds: FdTable;
  readonly ids: IdTable;
  readonly environment = process.env;
  readonly command: readonly string[];
  #machine: Machine;
  #chardevs: readonly Chardev[];
  #before: RunState = "prelaunch";
  /** From `prepareRunOn` on. */
  #waiting: WaitingVcpuRunners | undefined;
  #runningOn: RunningOn | undefined;
  /** From `prepareStop` on. */
  #hurry: Hurry | undefined;
  /** Of a stop that was prepared. */
  #kick: Kick | undefined;

  constructor({ machine, ids, command, chardevs }: MachineCprHostOptions) {
    this.#machine = machine;
    this.fds = machine.fds;
    this.ids = ids ?? new IdTable();
    this.command = command;
    this.#chardevs = chardevs;
  }

  runState(): string {
    return this.#machine.runState.current;
  }

  needsReset(): boolean {
    return this.#machine.runState.needsReset;
  }

  isRunning(): boolean {
    return this.#machine.running;
  }

  ramBlocks(): RamBlock[] {
    return ramBlocksOf(this.#machine);
  }

  describe(): { name: string; cpus: number; memory: number; chardevs: Record<string, ChardevRole> } {
    const { name, cpus, memory } = this.#machine.config;
    return { name, cpus, memory: memory.size, chardevs: rolesOf(this.#chardevs) };
  }

  configuration(): JsonObject {
    return this.#machine.config as unknown as JsonObject;
  }

  awaitLull(goOn: () => void): Promise<void> {
    return awaitLull(this.#machine, goOn);
  }

  async holdSignals(): Promise<() => void> {
    holdEndSignals();
    await hearSignals();
    if (heldSignal() === 0) return letEndSignalsIn;
    letEndSignalsIn();
    throw new VmmError("run-state", "the VM was told to end by a signal");
  }

  prepareRunOn(undo: UndoLog, limitMs: number): readonly number[] {
    const waiting = this.#machine.vm.prepareRunOn(this.fds, limitMs);
    this.#waiting = waiting;
    undo.push("make ready to run on", () => {
      // where the vCPUs run on already it is for `resume` to take them back, if that is to be
      if (this.#runningOn === undefined) waiting.dismiss();
      this.#waiting = undefined;
    });
    return waiting.pids;
  }

  stop(mode: MigrationMode, begins: () => void): void {
    const { runState } = this.#machine;
    this.#before = runState.current;
    // an exec leaves no time to tell it later
    if (mode !== "cpr-exec") this.#machine.events.hold();
    if (this.#before === "running") this.#pause(begins);
    else begins();
    runState.set("finish-migrate");
    // after the vCPUs: what the guest wrote last is still taken; from here on the rings are part of the saved state
    for (const chardev of this.#chardevs) chardev.pauseForExec();
    if (this.#before === "running") this.#machine.events.emit("STOP", {});
  }

  /** Stops the vCPUs, gives them to whoever runs them on, and stops the devices. */
  #pause(begins: () => void): void {
    // until others run them the guest stands still; where it does so for longer, all of it is in a hurry: see `prepareStop`
    const hurry = new Hurry();
    let kick = this.#kick;
    this.#kick = undefined;
    try {
      if (this.#waiting) {
        hurry.apart(this.#waiting.pids);
        const { before, after } = hurry.leaving(this.#machine);
        kick = this.#machine.prepareKick({ before: [REST_CALL, ...before], after });
      }
      begins();
      const beginNs = monotonicNs();
      const paused = () => {
        // what the guest has asked for is not part of its state: it has to be served here
        if (this.#machine.control.requested)
          throw new VmmError("run-state", "the guest resets or powers off");
        this.#runningOn = this.#waiting?.runOn(kick?.sinceNs ?? beginNs, letBegin);
        hurry.end();
      };
      this.#machine.pauseExecution(paused, kick);
    } finally {
      hurry.end();
    }
  }

  resume(): void {
    this.#runningOn?.takeBack(this.#machine.exitTargets());
    this.#runningOn = undefined;
    this.#startChardevs();
    this.#machine.runState.set(this.#before);
    this.#machine.serveWhatWaited();
    if (this.#before !== "running") return;
    this.#machine.resumeExecution();
    this.#machine.events.emit("RESUME", {});
  }

  slowFds(): readonly number[] {
    // the VM goes with its last fd, and has page tables for all RAM that the guest has touched
    return [this.#machine.vm.fd];
  }

  detachIrqfds(): () => void {
    return this.#machine.vm.detachIrqfds();
  }

  saveState(): readonly SavedRecord[] {
    return this.#machine.save(this.#runningOn?.records);
  }

  prepareStop(undo: UndoLog): void {
    this.#machine.vm.prepareSave();
    // what the guest writes from here on is in the rings, which are saved, and for the successor to pass on
    undo.push("pause chardevs", () => this.#startChardevs());
    for (const chardev of this.#chardevs) chardev.pauseForExec();
    const hurry = new Hurry().main();
    letRest();
    if (this.#machine.running && !fillsHost(this.#machine.config.cpus)) hurry.vcpus(this.#machine);
    this.#kick = this.#machine.prepareKick();
    this.#hurry = hurry;
    undo.push("hurry", () => {
      this.#hurry = undefined;
      this.#kick = undefined;
      hurry.end();
    });
  }

  stateSent(): void {
    this.#hurry?.end();
  }

  previewState(): readonly SavedRecord[] {
    return previewMachineState(this.#machine);
  }

  postmigrate(handedOver: boolean): void {
    const { runState } = this.#machine;
    // before all that could fail: this process must not run the guest any more
    if (handedOver) runState.handOver();
    else runState.set("postmigrate");
    // the chardevs of a guest that was handed over are another process's now
    if (!handedOver) {
      this.#startChardevs();
      this.#machine.serveWhatWaited();
    }
    letEndSignalsIn();
    if (handedOver) this.onHandedOver();
  }

  #startChardevs(): void {
    for (const chardev of this.#chardevs) chardev.start();
  }

  /** What follows once another process runs the guest; set by whoever owns the process. */
  onHandedOver = (): void => {};

  statusChanged(status: MigrationStatus): void {
    this.#machine.events.emit("MIGRATION", { status });
  }

  log(line: string): void {
    console.error(`vmm: ${line}`);
  }
}
