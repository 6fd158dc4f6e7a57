/**
 * The PC's clock and CMOS RAM: a Motorola MC146818 (data sheet DS9775) behind ports 0x70 and 0x71.
 *
 * Its time is the host's wall clock plus an offset, so it needs no tick and runs on while the VM does not. A guest that
 * sets the clock changes the offset. Flags for what happened since they were last looked at are found when somebody
 * looks; timers run only for interrupts that the guest enabled and has not been given yet.
 */
import type { RecordSchema } from "@vmm/cpr";
import { bytes, i64, struct, u8 } from "@vmm/libc";
import type { Device, DeviceContext } from "../device/device.ts";
import type { DeviceTimer } from "../device/device-timer.ts";
import type { IrqLine } from "../device/irq-line.ts";
import { ByteTarget } from "./byte-target.ts";
import { writeMemorySize } from "./cmos-memory-size.ts";
import { nextAlarm, RTC, RTC_B_24H, readCalendar, writeCalendar } from "./rtc-calendar.ts";

const CELLS = 128;

const CmosRtcState = struct("cmos-rtc", {
  /** The guest's clock less the host's wall clock, in µs. */
  offset: i64,
  /** The second of the guest's clock up to which update and alarm flags were raised. */
  seenSecond: i64,
  /** Likewise the 32768 Hz tick of the VM clock, for the periodic flag. */
  seenTick: i64,
  /** The cell that port 0x71 reaches. */
  index: u8,
  /** Clock registers and RAM. While the clock runs, the time in them is that of the last access. */
  cells: bytes(CELLS),
});

export const CMOS_RTC_SCHEMA = {
  kind: "cmos-rtc",
  version: 1,
  compat: 1,
  layout: CmosRtcState,
} satisfies RecordSchema;

export const RTC_PORT = 0x70;
export const RTC_PORTS = 2;
export const RTC_IRQ = 8;

// Register A.
const A_UPDATE_IN_PROGRESS = 0x80;
const A_DIVIDER = 0x70;
/** The divider runs from a 32768 Hz crystal, the only one PCs have; higher values hold it in reset. */
const A_DIVIDER_32K = 0x20;
const A_RATE = 0x0f;
/** The 32768 Hz divider, 1024 Hz periodic rate. */
const A_RESET = 0x26;

const B_SET = 0x80;
// Flags of register C, and the bits of register B that let each interrupt.
const PERIODIC = 0x40;
const ALARM = 0x20;
const UPDATE = 0x10;
const FLAGS = PERIODIC | ALARM | UPDATE;
const C_INTERRUPT = 0x80;

/** The RAM and time are valid: the battery is good. */
const D_VALID = 0x80;

const SECOND = 1e6;
/** How long before an update the chip says that it is under way, in µs. */
const UPDATE_WARNING = 244;
/** An alarm further off is looked at again after this time, in µs: the host's wall clock may be stepped. */
const LONGEST_WAIT = 60 * SECOND;
const CRYSTAL = 32768;

const TIME_CELLS: ReadonlySet<number> = new Set([
  RTC.seconds,
  RTC.minutes,
  RTC.hours,
  RTC.weekday,
  RTC.day,
  RTC.month,
  RTC.year,
  RTC.century,
]);

export interface CmosRtcOptions {
  readonly id: string;
  /** RAM below 4 GiB in bytes, and above: CMOS RAM tells the guest. */
  readonly lowMemory: number;
  readonly highMemory: number;
  /** Called, lock held, when an alarm that may interrupt comes: ACPI has an event for it. */
  readonly alarm?: () => void;
}

export class CmosRtc extends ByteTarget implements Device {
  readonly id: string;
  readonly #options: CmosRtcOptions;
  readonly #clock: DeviceContext["clock"];
  readonly #state: ReturnType<typeof CmosRtcState.at>;
  readonly #cells: Uint8Array;
  readonly #line: IrqLine;
  /** For the next update or alarm, and for the next periodic tick. */
  readonly #secondTimer: DeviceTimer;
  readonly #tickTimer: DeviceTimer;

  constructor(context: DeviceContext, options: CmosRtcOptions) {
    super();
    this.id = options.id;
    this.#options = options;
    this.#clock = context.clock;
    this.#state = context.arena.record(this.id, CMOS_RTC_SCHEMA);
    this.#cells = this.#state.cells;
    this.#line = context.irq(RTC_IRQ, "edge");
    const expire = () => this.#catchUp();
    this.#secondTimer = context.timer(`${this.id}.second`, expire);
    this.#tickTimer = context.timer(`${this.id}.tick`, expire);
    context.pio.claim({ name: this.id, base: RTC_PORT, size: RTC_PORTS, target: this });
  }

  /**
   * Leaves what PC firmware leaves: a running clock in BCD and 24 hours, and the memory's size. Time and RAM go on, as
   * the chip has a battery.
   */
  reset(): void {
    const cells = this.#cells;
    if (!this.#runs()) this.#setTime();
    cells[RTC.a] = A_RESET;
    cells[RTC.b] = RTC_B_24H;
    cells[RTC.c] = 0;
    cells[RTC.d] = D_VALID;
    writeMemorySize(cells, this.#options.lowMemory, this.#options.highMemory);
    this.#state.index = 0;
    this.#forgetFlags();
    this.#update();
  }

  postLoad(): void {
    this.#state.index %= CELLS;
  }

  /** Timers are set anew: the wall clock may have been stepped while the VM stood still. */
  resume(): void {
    this.#catchUp();
  }

  protected override readByte(offset: number): number {
    if (offset !== 1) return 0xff;
    const index = this.#state.index;
    if (index === RTC.a) return this.#get(RTC.a) | (this.#updateInProgress() ? A_UPDATE_IN_PROGRESS : 0);
    if (index === RTC.c) return this.#takeFlags();
    if (TIME_CELLS.has(index) && this.#runs()) writeCalendar(this.#cells, this.#nowSecond());
    return this.#get(index);
  }

  /** Bit 7 of the index masks the NMI on a PC; nothing here raises one. */
  protected override writeByte(offset: number, value: number): void {
    if (offset === 0) this.#state.index = value % CELLS;
    else if (offset === 1) this.#writeCell(this.#state.index, value);
  }

  #writeCell(index: number, value: number): void {
    if (index === RTC.c || index === RTC.d) return;
    this.#catchUp();
    if (index === RTC.a) this.#control(value & ~A_UPDATE_IN_PROGRESS, this.#get(RTC.b));
    // Halting updates also takes back the update interrupt.
    else if (index === RTC.b) this.#control(this.#get(RTC.a), value & B_SET ? value & ~UPDATE : value);
    else if (TIME_CELLS.has(index) && this.#runs()) {
      writeCalendar(this.#cells, this.#nowSecond());
      this.#cells[index] = value;
      this.#setTime();
    } else this.#cells[index] = value;
    this.#update();
  }

  #get(index: number): number {
    return this.#cells[index] as number;
  }

  // Time

  /** The guest's clock in µs since 1970. */
  #now(): number {
    return Number(this.#clock.wallNs() / 1000n) + Number(this.#state.offset);
  }

  #nowSecond(): number {
    return Math.floor(this.#now() / SECOND);
  }

  /** Whether the clock counts; else its registers hold what the guest wrote. */
  #runs(): boolean {
    return !(this.#get(RTC.b) & B_SET) && (this.#get(RTC.a) & A_DIVIDER) <= A_DIVIDER_32K;
  }

  #updateInProgress(): boolean {
    const now = this.#now();
    return this.#runs() && now - Math.floor(now / SECOND) * SECOND >= SECOND - UPDATE_WARNING;
  }

  /** Sets the clock to what its registers say, `phase` µs into that second; without `phase` seconds begin when they did. */
  #setTime(phase?: number): void {
    const now = this.#now();
    const inSecond = phase ?? now - Math.floor(now / SECOND) * SECOND;
    const wanted = readCalendar(this.#cells) * SECOND + inSecond;
    this.#state.offset += BigInt(wanted - now);
    this.#forgetFlags();
  }

  /** Writes registers A and B, which stop and start the clock. */
  #control(a: number, b: number): void {
    const ran = this.#runs();
    const wasReset = (this.#get(RTC.a) & A_DIVIDER) > A_DIVIDER_32K;
    if (ran) writeCalendar(this.#cells, this.#nowSecond());
    this.#cells[RTC.a] = a;
    this.#cells[RTC.b] = b;
    // The first update comes half a second after the divider leaves reset: drivers set the time to the ms by that.
    if (!ran && this.#runs()) this.#setTime(wasReset ? SECOND / 2 : undefined);
    this.#state.seenTick = BigInt(this.#tick());
  }

  // Flags and interrupts

  /** Ticks of the periodic interrupt's rate, in periods of the crystal; 0 where it is off. */
  #period(): number {
    const rate = this.#get(RTC.a) & A_RATE;
    if (rate === 0) return 0;
    return 1 << (rate <= 2 ? rate + 6 : rate - 1);
  }

  #tick(): number {
    return Math.floor((this.#clock.now() * CRYSTAL) / 1e9);
  }

  #forgetFlags(): void {
    this.#state.seenSecond = BigInt(this.#nowSecond());
    this.#state.seenTick = BigInt(this.#tick());
  }

  /** Raises the flags of all that happened since the last look. */
  #catchUp(): void {
    const before = this.#get(RTC.c);
    let flags = before;
    if (this.#runs()) {
      const seen = Number(this.#state.seenSecond);
      const second = this.#nowSecond();
      if (second > seen) flags |= UPDATE;
      if (nextAlarm(this.#cells, seen) <= second) flags |= ALARM;
      this.#state.seenSecond = BigInt(second);
    }
    const period = this.#period();
    const tick = this.#tick();
    if (period && Math.floor(tick / period) > Math.floor(Number(this.#state.seenTick) / period))
      flags |= PERIODIC;
    this.#state.seenTick = BigInt(tick);
    this.#cells[RTC.c] = flags;
    if (flags & ~before & this.#get(RTC.b) & ALARM) this.#options.alarm?.();
    this.#update();
  }

  /** Reading register C takes all flags and lowers the interrupt. */
  #takeFlags(): number {
    this.#catchUp();
    const flags = this.#get(RTC.c);
    const interrupt = flags & this.#get(RTC.b) & FLAGS ? C_INTERRUPT : 0;
    this.#cells[RTC.c] = 0;
    this.#update();
    return flags | interrupt;
  }

  /** Brings the interrupt line and the timers in line with the registers. */
  #update(): void {
    const enabled = this.#get(RTC.b) & FLAGS;
    const flags = this.#get(RTC.c);
    this.#line.set((enabled & flags) !== 0);
    const awaited = enabled & ~flags;
    this.#armSecond(this.#runs() ? awaited & (UPDATE | ALARM) : 0);
    this.#armTick(awaited & PERIODIC ? this.#period() : 0);
  }

  #armSecond(awaited: number): void {
    const now = this.#now();
    const second = Math.floor(now / SECOND);
    let target = Infinity;
    if (awaited & ALARM) target = nextAlarm(this.#cells, second) * SECOND;
    if (awaited & UPDATE) target = (second + 1) * SECOND;
    if (target === Infinity) setTimer(this.#secondTimer, 0);
    else setTimer(this.#secondTimer, this.#clock.now() + Math.min(target - now, LONGEST_WAIT) * 1000);
  }

  #armTick(period: number): void {
    const next = (Math.floor(this.#tick() / period) + 1) * period;
    setTimer(this.#tickTimer, period === 0 ? 0 : Math.ceil((next * 1e9) / CRYSTAL));
  }
}

/** Arms a timer, or disarms it where `deadline` is 0. */
function setTimer(timer: DeviceTimer, deadline: number): void {
  if (deadline !== 0) timer.arm(deadline);
  else if (timer.deadline !== 0) timer.disarm();
}
