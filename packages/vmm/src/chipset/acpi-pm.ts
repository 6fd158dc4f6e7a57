/**
 * ACPI fixed hardware (ACPI 6.5, section 4.8): the PM1a event and control registers and the power management timer. The
 * machine is always in ACPI mode: there is no SMI, and SCI_EN reads as 1.
 *
 * | offset | size | |
 * |---|---|---|
 * | 0 | 2 | PM1 status |
 * | 2 | 2 | PM1 enable |
 * | 4 | 2 | PM1 control |
 * | 8 | 4 | timer |
 */
import type { RecordSchema } from "@vmm/cpr";
import { i64, struct, u16 } from "@vmm/libc";
import type { Device, DeviceContext } from "../device/device.ts";
import type { DeviceTimer } from "../device/device-timer.ts";
import type { IrqLine } from "../device/irq-line.ts";
import { nextFlip, pmTicks } from "./pm-timer.ts";

const AcpiPmState = struct("acpi-pm", {
  /** When the timer's highest bit flips next after the timer's status was last cleared, in ns of the VM clock. */
  timerFlip: i64,
  status: u16,
  enable: u16,
  control: u16,
});

export const ACPI_PM_SCHEMA = {
  kind: "acpi-pm",
  version: 1,
  compat: 1,
  layout: AcpiPmState,
} satisfies RecordSchema;

/** First port of the block. */
export const ACPI_PM_BASE = 0x600;
/** Ports of the block. */
const ACPI_PM_PORTS = 12;
/** Offsets and lengths in bytes, as the FADT gives them. */
export const PM1_EVENT_OFFSET = 0;
export const PM1_EVENT_LENGTH = 4;
export const PM1_CONTROL_OFFSET = 4;
export const PM1_CONTROL_LENGTH = 2;
export const PM_TIMER_OFFSET = 8;
export const PM_TIMER_LENGTH = 4;

/** The interrupt by which ACPI events come: level-triggered, active high. */
export const SCI_GSI = 9;
/** The sleep type that powers the machine off, as \_S5 gives it. */
export const SLEEP_TYPE_S5 = 5;
/** What the guest writes to PM1 control to power off: the sleep type of S5 (bits 10-12) and SLP_EN (bit 13). */
export const POWER_OFF_VALUE = (SLEEP_TYPE_S5 << 10) | 0x2000;

// PM1 status and enable.
const TIMER = 0x0001;
const GLOBAL_LOCK = 0x0020;
const POWER_BUTTON = 0x0100;
const RTC_ALARM = 0x0400;
const EVENTS = TIMER | GLOBAL_LOCK | POWER_BUTTON | RTC_ALARM;

// PM1 control.
const SCI_ENABLED = 0x0001;
const SLEEP_TYPE_SHIFT = 10;
const SLEEP_TYPE_MASK = 7;
const SLEEP_ENABLE = 0x2000;
/** What the guest's writes change for good: bus master reload and the sleep type. */
const CONTROL_KEPT = 0x1c02;

export interface AcpiPmOptions {
  readonly id: string;
}

export class AcpiPm implements Device {
  readonly id: string;
  readonly #context: DeviceContext;
  readonly #state: ReturnType<typeof AcpiPmState.at>;
  readonly #line: IrqLine;
  readonly #timer: DeviceTimer;
  /** Of the main thread alone, where the button is pressed. Until the first `resume` all is as in a pause. */
  #paused = true;

  constructor(context: DeviceContext, options: AcpiPmOptions) {
    this.id = options.id;
    this.#context = context;
    this.#state = context.arena.record(this.id, ACPI_PM_SCHEMA);
    this.#line = context.irq(SCI_GSI, "level");
    this.#timer = context.timer(`${this.id}.timer`, () => this.#update());
    context.pio.claim({ name: this.id, base: ACPI_PM_BASE, size: ACPI_PM_PORTS, target: this });
  }

  reset(): void {
    this.#state.status = 0;
    this.#state.enable = 0;
    this.#state.control = SCI_ENABLED;
    this.#awaitFlip();
    this.#update();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#update();
  }

  /** Presses and releases the power button. Main thread, lock held; while the VM is paused the guest learns of it later. */
  pressPowerButton(): void {
    this.#state.status |= POWER_BUTTON;
    if (!this.#paused) this.#update();
  }

  /** The alarm of the real-time clock rang. Any thread, lock held. */
  rtcAlarm(): void {
    this.#state.status |= RTC_ALARM;
    this.#update();
  }

  read(offset: number, size: number): number {
    const word = this.#readWord(offset & ~3);
    const value = word >>> (8 * (offset & 3));
    return size === 1 ? value & 0xff : size === 2 ? value & 0xffff : value;
  }

  write(offset: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  #readWord(offset: number): number {
    switch (offset) {
      case PM1_EVENT_OFFSET:
        this.#noteFlip();
        return this.#state.status | (this.#state.enable << 16);
      case PM1_CONTROL_OFFSET:
        return this.#state.control;
      case PM_TIMER_OFFSET:
        return pmTicks(this.#context.clock.now());
      default:
        return 0;
    }
  }

  #writeByte(offset: number, value: number): void {
    const shift = 8 * (offset & 1);
    const lane = 0xff << shift;
    const bits = value << shift;
    switch (offset & ~1) {
      case 0:
        this.#clearStatus(bits);
        break;
      case 2:
        this.#state.enable = (this.#state.enable & ~lane) | (bits & EVENTS);
        this.#update();
        break;
      case 4:
        this.#control((this.#state.control & ~lane) | bits);
        break;
    }
  }

  /** Status bits are cleared by writing ones. */
  #clearStatus(bits: number): void {
    this.#noteFlip();
    this.#state.status &= ~bits;
    if (bits & TIMER) this.#awaitFlip();
    this.#update();
  }

  #control(value: number): void {
    this.#state.control = (value & CONTROL_KEPT) | SCI_ENABLED;
    const type = (value >> SLEEP_TYPE_SHIFT) & SLEEP_TYPE_MASK;
    if (value & SLEEP_ENABLE && type === SLEEP_TYPE_S5) this.#context.request("shutdown");
  }

  #awaitFlip(): void {
    this.#state.timerFlip = BigInt(nextFlip(this.#context.clock.now()));
  }

  #noteFlip(): void {
    if (this.#context.clock.now() >= Number(this.#state.timerFlip)) this.#state.status |= TIMER;
  }

  /** Brings the interrupt line and the timer in line with the registers. */
  #update(): void {
    this.#noteFlip();
    const { status, enable } = this.#state;
    this.#line.set((status & enable) !== 0);
    if (enable & ~status & TIMER) this.#timer.arm(Number(this.#state.timerFlip));
    else this.#timer.disarm();
  }
}
