/**
 * The accelerator contract: what runs guest code. The machine knows no more of KVM than this; `soft` will implement the
 * same.
 *
 * An accelerator lives in the main thread; each vCPU thread has a `VcpuRunner` for its own vCPU.
 */
import type { FdTable, SavedRecord } from "@vmm/cpr";
import type { BatchArgument, BatchCall } from "@vmm/libc";
import type { VcpuEntry } from "../boot/boot.ts";
import type { Bus } from "../bus/bus.ts";
import type { DeviceLock } from "../device/device-lock.ts";
import type { MemorySlot } from "../memory/guest-memory.ts";

/** One entry of the GSI routing table. */
export type GsiRoute =
  | { readonly gsi: number; readonly type: "irqchip"; readonly chip: number; readonly pin: number }
  | { readonly gsi: number; readonly type: "msi"; readonly address: bigint; readonly data: number };

/** Why a vCPU left guest mode for good, as the report and the run state need it. */
export interface VcpuExitReport {
  readonly vcpu: number;
  readonly kind:
    | "internal-error"
    | "shutdown"
    | "fail-entry"
    | "memory-fault"
    | "unknown-exit"
    | "system-event"
    | "run-failed";
  /** One line: the reason, suberror or hardware code in hex. */
  readonly detail: string;
}

/** Where a vCPU thread goes with the exits that it cannot serve from the buses. */
export interface ExitSink {
  report(report: VcpuExitReport): void;
  /** The guest asked for a reset (triple fault counts as one). */
  reset(): void;
}

/** What serves exits: the buses, under the device lock. */
export interface ExitTargets {
  readonly pio: Bus;
  readonly mmio: Bus;
  readonly lock: DeviceLock;
  readonly sink: ExitSink;
  /** Hears of each exit, most of which are accesses to devices, on the thread that serves it. */
  readonly accessed?: () => void;
}

/** What a vCPU thread needs to run its vCPU; plain data, so it can be posted to a Worker. */
export interface VcpuHandle {
  readonly accel: string;
  readonly index: number;
  /** Of KVM: the vCPU's fd. */
  readonly fd: number;
  /** Of KVM: size of the run structure in bytes. */
  readonly runSize: number;
}

/** A vCPU as its own thread sees it. */
export interface VcpuRunner {
  /**
   * Runs guest code and serves exits until `interrupt` is called from another thread or `shouldStop` turns true after
   * an exit. On return no exit is half done: the vCPU can be saved.
   */
  run(shouldStop: () => boolean): void;
  /** The thread's id for signals. */
  readonly tid: number;
}

/** A guest write that signals an eventfd. */
export interface IoeventfdTarget {
  readonly fd: number;
  readonly bus: "pio" | "mmio";
  readonly address: number;
  /** Bytes of the access: 1, 2, 4 or 8. */
  readonly length: number;
  /** Only writes of this value signal. */
  readonly data?: bigint;
}

/** Something in a saved state that this accelerator could not load. */
export interface StateProblem {
  /** The record's name, or a part of the machine. */
  readonly what: string;
  readonly reason: string;
}

/** How long the state that is loaded has been lying, and whether the host's clocks went on meanwhile. */
export interface RestoreTime {
  readonly elapsedNs: number;
  /** The host was not booted since: TSC and CLOCK_MONOTONIC continue. */
  readonly sameBoot: boolean;
}

/** What is to run the vCPUs while the program around them is replaced. It waits, and they run as ever. */
export interface WaitingVcpuRunners {
  /** Of its processes. */
  readonly pids: readonly number[];
  /**
   * Lets the vCPUs, which are paused, run on.
   *
   * @param sinceNs When the first vCPU was paused, on CLOCK_MONOTONIC.
   * @param told Called as soon as they were told to.
   */
  runOn(sinceNs: number, told?: () => void): RunningOn;
  /** Gives it up again, where it is not needed after all. In place of `runOn`. */
  dismiss(): void;
}

/** vCPUs that run on, without devices, while the program around them is replaced. */
export interface RunningOn {
  /** What the next program needs to find them. It stands for the state of the vCPUs and the VM, which changes still. */
  readonly records: readonly SavedRecord[];
  /** Takes them back, where this program goes on after all. What they wait for is served. */
  takeBack(targets: ExitTargets): void;
}

/** vCPUs that have run on since an earlier program gave them away. The calls come in this order. */
export interface AdoptedVcpus {
  /**
   * While they run on: does what takes over later without effect, since code runs slowly the first time.
   *
   * @param rest A call that `hold` is to begin with, where no vCPU waits for a device.
   */
  rehearse(rest?: BatchCall): void;
  /** Stops them. */
  hold(): void;
  /** Loads their state, and that of the VM, into this VM. What they stand at is not yet served. */
  load(): void;
  /** Takes back `hold`: before the commit, where this program cannot go on. */
  letGo(): void;
  /** Serves the accesses that they stand at, which cannot be undone: right before the commit. */
  settle(targets: ExitTargets): void;
  /** When the guest stood still, on CLOCK_MONOTONIC, given when its last vCPU ran again. */
  standstills(runNs: number): { fromNs: number; toNs: number }[];
  /** After they run here: gives back all that was needed for it. Resolves when no process of it is left. */
  release(): Promise<void>;
}

/** vCPUs that run although their threads are not up yet: the main thread serves their exits. */
export interface VcpuBridge {
  /** The threads that wait for `start`. */
  readonly tids: readonly number[];
  /** Has a thread, which was made to run before others, end that itself before it runs the guest. */
  endHurry(tid: number): void;
  /** Lets the vCPUs run. A second call changes nothing. */
  start(): void;
  /**
   * Serves exits until each vCPU was handed over.
   *
   * @param mayRun False as soon as the guest asked for something that stops the machine: all vCPUs are stopped then.
   * @param isUp Whether the thread of a vCPU is ready to take it.
   * @param takeOver Lets that thread run the vCPU, which stands still at this moment.
   */
  serve(mayRun: () => boolean, isUp: (vcpu: number) => boolean, takeOver: (vcpu: number) => void): void;
}

/** A virtual machine of an accelerator. */
export interface AccelVm {
  readonly name: string;
  /** Of KVM: the VM's fd, through which vCPU threads drive interrupt lines. */
  readonly fd: number;
  /** Gives the guest its memory. May still be going on when this returns; `restore` and `bridge` wait for it. */
  setMemorySlots(slots: readonly MemorySlot[]): void;
  /** Adds a slot while the machine is there. */
  setMemorySlot(slot: MemorySlot): void;
  /** Drives a GSI's level, 0 or 1. */
  setIrqLevel(gsi: number, level: number): void;
  /** Replaces the routes beyond the chipset's own. */
  setRouting(routes: readonly GsiRoute[]): void;
  signalMsi(address: bigint, data: number): void;
  assignIrqfd(fd: number, gsi: number, resampleFd?: number): void;
  deassignIrqfd(fd: number, gsi: number): void;
  /** Deassigns every irqfd; the result takes them all back. */
  detachIrqfds(): () => void;
  assignIoeventfd(target: IoeventfdTarget): void;
  deassignIoeventfd(target: IoeventfdTarget): void;
  readonly vcpus: readonly AccelVcpu[];
  /** All vCPUs and the VM as a whole (interrupt chips, timers, clock). All vCPUs are paused, irqfds detached. */
  save(): SavedRecord[];
  /** Makes the next `save` take less time, without touching the VM: vCPUs may run. */
  prepareSave(): void;
  /** Records as `save` would give them, without contents: vCPUs may run. */
  preview(): SavedRecord[];
  /**
   * Loads what `save` gave, in the order that the kernel needs. Before any vCPU runs and any irqfd is assigned.
   *
   * @param records The accelerator's: one that it does not know is refused.
   */
  restore(records: ReadonlyMap<string, SavedRecord>, time: RestoreTime): void;
  /**
   * Makes ready for vCPUs that run on while the program is replaced. Its fds go into the table.
   *
   * @param limitMs How long the next program may take.
   */
  prepareRunOn(fds: FdTable, limitMs: number): WaitingVcpuRunners;
  /** The vCPUs that an earlier program let run on, if it left any: instead of `restore`. */
  adopt(records: ReadonlyMap<string, SavedRecord>, fds: FdTable): AdoptedVcpus | undefined;
  /** What stands against loading such records here: on a VM that was just made and is not used for anything else. */
  check(records: ReadonlyMap<string, SavedRecord>): StateProblem[];
  /** Power-on state of everything. vCPU 0 starts at `entry`, the others wait for SIPI. */
  reset(entry: VcpuEntry): void;
  /** Tells a guest that can be told that it stood still, before it runs on: else its watchdogs take that for a hang. */
  tellOfPause(): void;
  /** What lets all vCPUs run at once, while their threads come up. */
  bridge(targets: ExitTargets): VcpuBridge;
  close(): void;
}

/** A vCPU as the main thread sees it. */
export interface AccelVcpu {
  readonly index: number;
  readonly handle: VcpuHandle;
  /**
   * Makes a running `VcpuRunner.run` return soon, or the next one return at once.
   *
   * @param tid Its thread.
   */
  interrupt(tid: number): void;
  /** The same, for a list of system calls. */
  interruptCalls(tid: BatchArgument): BatchCall[];
  /** Registers as text, as QEMU's `info registers` gives them. */
  describeRegisters(): string;
}
