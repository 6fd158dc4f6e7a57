/**
 * The device contract: all that the machine knows of a device, and all that a device may use of the machine.
 *
 * A device object exists once in every thread (the main thread and each vCPU's), built from the same configuration over
 * the same state arena. So its mutable state is a record of the arena and nothing else: a plain property of the object
 * that changes after the constructor is a bug, unless it belongs to the main thread's backend.
 *
 * Calls and when they come:
 * - the constructor: in every thread, before any vCPU runs; claims records, ranges and lines, always the same ones;
 * - `BusTarget` calls: from the vCPU thread whose guest code made the access, with the device lock held;
 * - `reset`: main thread, all vCPUs paused, lock held; at power on, at each system reset, and before records are loaded. A
 *   guest that comes in may run elsewhere up to its `resume` here: what it uses of the host is not touched before that;
 * - `start`: main thread, once, after `reset` or `postLoad` of all devices; opens host resources' asynchronous side;
 * - `pause` / `resume`: main thread; `resume` with the lock held, so it must not take it. A paused device must not touch
 *   guest memory or raise interrupts. The vCPUs are paused at `pause` and may run at `resume`, but none of their accesses
 *   comes before it;
 * - `save`: main thread, after `pause`: brings into the arena what lives elsewhere;
 * - `postLoad`: main thread, after all records were loaded, before `resume`;
 * - `close`: main thread, when the machine ends.
 */
import type { ModeNotifier } from "@vmm/cpr";
import type { StateArena } from "../arena/state-arena.ts";
import type { Bus } from "../bus/bus.ts";
import type { CharPort } from "../chardev/char-port.ts";
import type { DeviceLock } from "./device-lock.ts";
import type { DeviceTimer } from "./device-timer.ts";
import type { IrqLine } from "./irq-line.ts";
import type { VmClock } from "./vm-clock.ts";

export interface Device {
  /** The device's id, unique in the machine: also the name of its state record. */
  readonly id: string;
  /** How the device takes part in live updates. Asked for in the main thread, when the machine first runs. */
  readonly modeNotifier?: ModeNotifier;
  reset?(): void;
  start?(): void;
  pause?(): void;
  resume?(): void;
  save?(): void;
  postLoad?(): void;
  close?(): void;
}

/** What the guest asks of the machine. `exit` carries a status for the process, as from the debug-exit port. */
export type MachineRequest = "reset" | "shutdown" | "exit" | "suspend";

/** Which thread this is: only `main` owns host-side backends. */
export type ThreadRole = "main" | "vcpu";

export interface DeviceContext {
  readonly role: ThreadRole;
  readonly arena: StateArena;
  /** I/O ports, 64 KiB. */
  readonly pio: Bus;
  /** Guest-physical addresses that are not RAM. */
  readonly mmio: Bus;
  readonly lock: DeviceLock;
  readonly clock: VmClock;
  /** An interrupt line of the chipset (GSI 0-23). Claim it once, in the constructor. */
  irq(gsi: number, trigger?: "edge" | "level"): IrqLine;
  /** A one-shot timer that calls `expire` in the main thread with the lock held. */
  timer(name: string, expire: () => void): DeviceTimer;
  /** The guest side of the chardev `id`. */
  chardev(id: string): CharPort;
  /** Hands a request of the guest to the main thread; the vCPU that made it stops before its next instruction. */
  request(kind: MachineRequest, status?: number): void;
}

/** What a driver is given to build a device: its id and its properties from the configuration. */
export interface DeviceOptions {
  readonly id: string;
  readonly [property: string]: unknown;
}

/** A kind of device that can be named in a configuration, such as `uart-16550`. */
export interface DeviceDriver {
  readonly name: string;
  create(context: DeviceContext, options: DeviceOptions): Device;
}
