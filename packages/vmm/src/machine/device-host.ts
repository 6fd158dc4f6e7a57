/**
 * What devices stand on, in one thread: the buses, lines, timers and chardevs over the shared arena. Main thread and vCPU
 * threads build it alike, so that each record has the same place everywhere.
 */
import { StateArena } from "../arena/state-arena.ts";
import { Bus } from "../bus/bus.ts";
import type { CharPort } from "../chardev/char-port.ts";
import { CharRing } from "../chardev/char-ring.ts";
import { type Chipset, createChipset } from "../chipset/index.ts";
import type { VmConfig } from "../config/vm-config.ts";
import type { Device, DeviceContext, MachineRequest, ThreadRole } from "../device/device.ts";
import { DeviceTimer } from "../device/device-timer.ts";
import { IrqLine, type SetIrqLevel } from "../device/irq-line.ts";
import { findDriver } from "../device/registry.ts";
import { VmClock } from "../device/vm-clock.ts";
import { VmmError } from "../vmm-error.ts";
import type { ControlBlock } from "./control-block.ts";

/** Addresses of the buses end here. */
const PORTS = 0x10000;
const ADDRESSES = 2 ** 52;

export interface DeviceHostOptions {
  readonly role: ThreadRole;
  readonly config: VmConfig;
  /** The arena of the main thread; absent in the main thread itself. */
  readonly arena?: SharedArrayBuffer;
  readonly control: ControlBlock;
  readonly setIrqLevel: SetIrqLevel;
  /** Called after the guest asked something of the machine. */
  readonly requested: () => void;
}

export class DeviceHost implements DeviceContext {
  readonly role: ThreadRole;
  readonly arena: StateArena;
  readonly pio = new Bus("I/O port", PORTS);
  readonly mmio = new Bus("memory", ADDRESSES);
  readonly lock;
  readonly clock: VmClock;
  readonly chipset: Chipset;
  /** All devices, in the order in which they were built. */
  readonly devices: readonly Device[];
  readonly rings = new Map<string, CharRing>();
  readonly lines: IrqLine[] = [];
  readonly timers: { timer: DeviceTimer; expire: () => void }[] = [];
  #options: DeviceHostOptions;
  /** Whether records can be loaded as it is. */
  #preparedLoad = false;

  constructor(options: DeviceHostOptions) {
    this.#options = options;
    this.role = options.role;
    this.lock = options.control.lock;
    this.arena = new StateArena(options.arena);
    this.clock = new VmClock(this.arena);
    const { config, control } = options;
    for (const { id } of config.chardevs) {
      this.rings.set(id, new CharRing(this.arena, id, () => control.doorbell.ring("chardev")));
    }
    this.chipset = createChipset(this, {
      ramSize: config.memory.size,
      serial: config.chardevs.map((c) => c.id),
    });
    this.devices = [
      ...this.chipset.devices,
      ...config.devices.map(({ driver, ...rest }) => findDriver(driver).create(this, rest)),
    ];
  }

  irq(gsi: number, trigger: "edge" | "level" = "edge"): IrqLine {
    const line = new IrqLine(this.arena, gsi, trigger, this.#options.setIrqLevel);
    this.lines.push(line);
    return line;
  }

  timer(name: string, expire: () => void): DeviceTimer {
    const timer = new DeviceTimer(this.arena, name, () => this.#options.control.doorbell.ring("timer"));
    this.timers.push({ timer, expire });
    return timer;
  }

  chardev(id: string): CharPort {
    const ring = this.rings.get(id);
    if (!ring) throw new VmmError("chardev", `no chardev "${id}" in the configuration`);
    return ring;
  }

  /** Puts all devices in their power-on state. With the lock held. */
  reset(): void {
    for (const device of this.devices) device.reset?.();
  }

  /** Does ahead what `resetForLoad` would do. Devices are to be left alone until then. */
  prepareLoad(): void {
    this.lock.with(() => this.reset());
    this.#preparedLoad = true;
  }

  /** What comes before records are loaded: what they lack keeps its reset value. With the lock held. */
  resetForLoad(): void {
    if (!this.#preparedLoad) this.reset();
    this.#preparedLoad = false;
  }

  request(kind: MachineRequest, status = 0): void {
    this.#options.control.putRequest(kind, status);
    this.#options.requested();
    this.#options.control.doorbell.ring("request");
  }
}
