/**
 * The machine: memory, accelerator, vCPU threads, devices and run state, put together in the main thread.
 *
 * It knows how to start, pause, resume, reset, save and load; it knows nothing of QMP, of live update or of the command
 * line, which all drive it from outside.
 */
import type { FdTable, SavedRecord } from "@vmm/cpr";
import { monotonicNs } from "@vmm/libc";
import type {
  AccelVm,
  ExitSink,
  ExitTargets,
  RestoreTime,
  VcpuBridge,
  VcpuExitReport,
} from "../accel/accelerator.ts";
import type { VmConfig } from "../config/vm-config.ts";
import type { Device } from "../device/device.ts";
import { RunStateMachine } from "../run-state/index.ts";
import { VmmError } from "../vmm-error.ts";
import { ControlBlock, REQUEST_BITS } from "./control-block.ts";
import { createAccelVm } from "./create-accel-vm.ts";
import { DeviceHost } from "./device-host.ts";
import { RING } from "./doorbell.ts";
import { type Kick, NO_CALLS } from "./kick.ts";
import { EventSource } from "./machine-events.ts";
import { createMachineMemory, guestChangesRam, type MachineMemory } from "./machine-memory.ts";
import { loadMachineState, saveMachineState } from "./machine-state.ts";
import { TimerService } from "./timer-service.ts";
import { VcpuThreads } from "./vcpu-threads.ts";

/** Why the machine ended, and the exit status that the guest gave, if it did. */
export interface MachineEnd {
  readonly reason:
    | "guest-shutdown"
    | "guest-exit"
    | "host-qmp-quit"
    | "host-signal"
    | "host-error"
    | "handed-over";
  readonly status: number;
}

/** A guest that stood still for longer is told of it (ns): its watchdogs count in seconds. */
const WORTH_TELLING_NS = 1e9;

/** Loaders and tables come when they are first needed: a VMM that takes over a running guest needs none of them. */
const bootGuest = () => (require("./boot-guest.ts") as typeof import("./boot-guest.ts")).bootGuest;

/** The guest is worth more than one of its devices: it runs on without one that does not. */
function resumeDevice(device: Device): void {
  try {
    device.resume?.();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`vmm: device "${device.id}" does not resume: ${reason}`);
  }
}

export class Machine {
  readonly config: VmConfig;
  readonly fds: FdTable;
  readonly events = new EventSource();
  readonly runState = new RunStateMachine();
  readonly control = new ControlBlock();
  readonly vm: AccelVm;
  readonly host: DeviceHost;
  readonly memory: MachineMemory;
  /** The report that stopped the guest, in run state internal-error. */
  lastReport: VcpuExitReport | undefined;
  /** Whether a guest that comes in is to run. Left out: if it ran where it comes from. */
  autostart: boolean | undefined;
  /** What the guest that was loaded did not bring, one line each. */
  warnings: readonly string[] = [];
  #threads: VcpuThreads;
  #timers: TimerService;
  #onRequest = () => {};
  /** Since when the guest stands still, where it has run before. */
  #stillSinceNs = Number.POSITIVE_INFINITY;

  /**
   * Builds the machine; no guest code runs yet. Plug-ins must be imported before.
   *
   * @param fds Finds the fds that a live update carried over, and takes new ones.
   * @param brought The guest's memory must be among them.
   */
  constructor(config: VmConfig, fds: FdTable, brought = false) {
    this.config = config;
    this.fds = fds;
    this.vm = createAccelVm(config);
    this.host = new DeviceHost({
      role: "main",
      config,
      control: this.control,
      setIrqLevel: (gsi, level) => this.vm.setIrqLevel(gsi, level),
      requested: () => this.#onRequest(),
    });
    this.#threads = new VcpuThreads({
      vm: this.vm,
      config,
      control: this.control,
      arena: this.host.arena.buffer,
      digest: this.host.arena.digest(),
      failed: (vcpu, error) => this.#fail(`the thread of vCPU ${vcpu} died: ${error.message}`),
    });
    this.memory = createMachineMemory(config, fds, brought);
    this.vm.setMemorySlots(this.memory.slots);
    this.#timers = new TimerService(this.host);
    void this.control.doorbell.listen((reasons) => this.#serve(reasons));
  }

  /** Puts everything in its power-on state and the guest's first code in place. */
  powerOn(): void {
    this.host.clock.start();
    this.#reset();
  }

  /** Loads what `save` gave. The machine is paused and stays so. */
  load(records: readonly SavedRecord[], time: RestoreTime): void {
    this.#stillSinceNs = monotonicNs() - time.elapsedNs;
    this.warnings = loadMachineState(this, records, time);
  }

  /**
   * Lets the VM's clock go on that was loaded on another boot of the host.
   *
   * @param stoppedNs CLOCK_MONOTONIC of the other boot when the guest was stopped.
   * @param elapsedNs Time since.
   */
  continueClock(stoppedNs: number, elapsedNs: number): void {
    const base = monotonicNs() - this.host.clock.now();
    this.host.clock.continueFrom(stoppedNs - base + elapsedNs);
  }

  /**
   * The state of devices and vCPUs. The machine is paused and irqfds are detached.
   *
   * @param accel What stands for the state of vCPUs that run on.
   */
  save(accel?: readonly SavedRecord[]): SavedRecord[] {
    return saveMachineState(this, accel);
  }

  /** Opens the host side of devices: once, after `powerOn` or `load`. */
  startDevices(): void {
    for (const device of this.host.devices) device.start?.();
  }

  /**
   * Lets vCPUs and then devices run, without touching the run state. The first time the vCPUs run before their threads are
   * up, served by this thread; and this returns when the threads are up.
   *
   * @param running Called when the last vCPU was told to run: it must not use devices or take their lock.
   */
  resumeExecution(running = () => {}): void {
    if (monotonicNs() - this.#stillSinceNs > WORTH_TELLING_NS) this.vm.tellOfPause();
    if (this.#threads.spawned) {
      const begin = () => {
        // what the guest asked for while nobody ran it comes first
        if (!this.control.requested) this.#threads.resume();
        running();
      };
      this.#resumeDevices(begin);
    } else this.#runBridged(running);
    // a deadline that a vCPU has set by now is seen as well
    this.#timers.resume();
  }

  /**
   * What serves exits in the main thread, while no thread runs the vCPU.
   *
   * @param reported Called after a vCPU ended for good.
   */
  exitTargets(reported = () => {}): ExitTargets {
    const { pio, mmio, lock } = this.host;
    const sink: ExitSink = {
      reset: () => this.host.request("reset"),
      report: (report) => {
        reported();
        this.control.putReport(report);
        this.control.doorbell.ring("vcpu");
      },
    };
    return { pio, mmio, lock, sink };
  }

  /** Makes ready for the first `resumeExecution`, so that it takes less time. Returns what waits for it. */
  prepareResume(): VcpuBridge {
    return this.#threads.prepareBridge(this.exitTargets(() => this.#onRequest()));
  }

  /** Starts the vCPU threads ahead of the first run. Resolves when all are up and wait. */
  prepareThreads(): Promise<void> {
    return this.#threads.prepare();
  }

  /** Has vCPU threads that are up stay awake: they are to run at once. */
  stayAwake(): void {
    this.#threads.stayAwake();
  }

  /** Waits until all vCPUs have begun to run, after their threads were told to. */
  awaitRunning(): void {
    this.#threads.awaitRunning();
  }

  #runBridged(running: () => void): void {
    let mayRun = !this.control.requested;
    this.#onRequest = () => {
      mayRun = false;
    };
    if (!this.#threads.hasBridge) this.prepareResume();
    const begun = () => {
      running();
      // a vCPU that needs one waits until this thread serves it
      this.#resumeDevices();
    };
    this.#threads.resumeBridged(() => mayRun, begun);
    this.#onRequest = () => {};
  }

  /** @param before Called with the device lock held: a vCPU that it lets run, and that needs a device, waits for all of them. */
  #resumeDevices(before = () => {}): void {
    this.host.lock.with(() => {
      before();
      for (const device of this.host.devices) resumeDevice(device);
    });
  }

  /**
   * Prepares to stop the vCPUs.
   *
   * @param calls System calls to be made with it.
   */
  prepareKick(calls = NO_CALLS): Kick {
    return this.#threads.prepareKick(calls);
  }

  /**
   * Stops vCPUs, then devices, without touching the run state.
   *
   * @param vcpusPaused Called as soon as the vCPUs stand still.
   * @param kick What was prepared for it.
   */
  pauseExecution(vcpusPaused = () => {}, kick?: Kick): void {
    this.#threads.pause(kick);
    this.#stillSinceNs = monotonicNs();
    vcpusPaused();
    this.#timers.pause();
    for (const device of this.host.devices) device.pause?.();
  }

  get running(): boolean {
    return this.runState.current === "running";
  }

  /**
   * QMP `cont`.
   *
   * @param running As in `resumeExecution`.
   * @throws VmmError `run-state`
   */
  cont(running?: () => void): void {
    if (this.running) return;
    this.runState.checkOurs();
    if (this.runState.needsReset) {
      throw new VmmError("run-state", "Resetting the Virtual Machine is required");
    }
    // a copy may have been left in place; one that comes in is told of it where it comes from
    if (this.runState.current === "postmigrate") guestChangesRam(this.memory, this.config);
    this.runState.set("running");
    this.resumeExecution(running);
    this.events.emit("RESUME", {});
  }

  /** QMP `stop`. @throws VmmError `run-state` where it is too late to have the guest stopped where it will be. */
  stop(): void {
    this.runState.checkOurs();
    if (!this.running) return;
    this.pauseExecution();
    this.runState.set("paused");
    this.events.emit("STOP", {});
  }

  /** Calls `look` while no vCPU runs, without a word to anybody: KVM shows a vCPU's registers only then. */
  whilePaused<T>(look: () => T): T {
    if (!this.running) return look();
    this.#threads.pause();
    try {
      return look();
    } finally {
      // one that paused itself waits for what it asked for
      if (!this.control.requested) this.#threads.resume();
    }
  }

  /** QMP `system_reset`. @throws VmmError `run-state` */
  systemReset(reason: string, guest = false): void {
    this.runState.checkOurs();
    const running = this.running;
    if (running) this.pauseExecution();
    this.#reset();
    this.lastReport = undefined;
    this.events.emit("RESET", { guest, reason });
    if (running) this.resumeExecution();
    else if (this.runState.needsReset) this.runState.set("paused");
  }

  /** QMP `system_powerdown`: presses the power button. @throws VmmError `run-state` */
  systemPowerdown(): void {
    this.runState.checkOurs();
    this.events.emit("POWERDOWN", {});
    this.host.lock.with(() => this.host.chipset.pm.pressPowerButton());
  }

  /** Ends the machine. */
  end(end: MachineEnd): void {
    if (this.running) this.pauseExecution();
    const guest = end.reason === "guest-shutdown" || end.reason === "guest-exit";
    this.events.emit("SHUTDOWN", { guest, reason: end.reason });
    this.onEnd(end);
  }

  /** Gives everything back. The machine is paused. */
  close(): void {
    this.#timers.pause();
    this.control.doorbell.close();
    for (const device of this.host.devices) device.close?.();
    this.#threads.quit();
    this.vm.close();
    for (const backend of this.memory.backends) backend.close();
  }

  #reset(): void {
    guestChangesRam(this.memory, this.config);
    this.host.lock.with(() => this.host.reset());
    this.vm.reset(bootGuest()(this.config, this.memory.guest));
  }

  #serve(reasons: number): void {
    if (reasons & RING.chardev) this.onChardev();
    if (reasons & RING.timer) this.#timers.update();
    // what the guest asked for waits, until it is ours again
    if (this.runState.isTaken) return;
    if (reasons & RING.request) this.#serveRequests();
    if (reasons & RING.vcpu) this.#serveReports();
  }

  /** The guest is ours again, after a migration had it: what was asked for meanwhile is served. */
  serveWhatWaited(): void {
    this.control.doorbell.ring("request");
    this.control.doorbell.ring("vcpu");
  }

  /** Serves the chardevs' doorbell; set by whoever owns their backends. */
  onChardev = (): void => {};

  /** What follows the end of the machine; set by whoever owns the process. */
  onEnd = ({ status }: MachineEnd): void => process.exit(status);

  #serveRequests(): void {
    const { bits, status } = this.control.takeRequests();
    if (bits & REQUEST_BITS.exit) this.end({ reason: "guest-exit", status });
    else if (bits & REQUEST_BITS.shutdown) {
      if (this.running) this.pauseExecution();
      this.runState.set("shutdown");
      this.end({ reason: "guest-shutdown", status: 0 });
    } else if (bits & REQUEST_BITS.reset) this.systemReset("guest-reset", true);
  }

  #serveReports(): void {
    for (const { index } of this.vm.vcpus) {
      const report = this.control.takeReport(index);
      if (!report) continue;
      if (this.running) this.pauseExecution();
      this.lastReport = report;
      this.runState.set("internal-error");
      this.events.emit("STOP", {});
      const registers = this.vm.vcpus[index]?.describeRegisters() ?? "";
      console.error(`vmm: vCPU ${index}: ${report.kind}: ${report.detail}\n${registers}`);
    }
  }

  #fail(message: string): void {
    console.error(`vmm: ${message}`);
    this.onEnd({ reason: "host-error", status: 1 });
  }
}
