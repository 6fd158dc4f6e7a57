/**
 * A bench to test devices on: real arena, buses, lines, timers and lock, without a machine around them. Its clock stands
 * still until a test moves it.
 */
import { bytes, struct, u16 } from "@vmm/libc";
import { StateArena } from "../src/arena/state-arena.ts";
import { Bus } from "../src/bus/bus.ts";
import type { CharPort } from "../src/chardev/char-port.ts";
import type { DeviceContext, MachineRequest } from "../src/device/device.ts";
import { DeviceLock } from "../src/device/device-lock.ts";
import { DeviceTimer } from "../src/device/device-timer.ts";
import { IrqLine } from "../src/device/irq-line.ts";
import { VmClock } from "../src/device/vm-clock.ts";

/** A date at which a test's wall clock starts: Wednesday 2025-01-15 10:20:30.5 UTC. */
export const BENCH_WALL_MS = Date.UTC(2025, 0, 15, 10, 20, 30, 500);

/** The time on a bench and its twins, in ns. */
interface BenchTime {
  now: number;
  wall: bigint;
}

class BenchClock extends VmClock {
  readonly #time: BenchTime;

  constructor(arena: StateArena, time: BenchTime) {
    super(arena);
    this.#time = time;
  }

  override now(): number {
    return this.#time.now;
  }

  override wallNs(): bigint {
    return this.#time.wall;
  }
}

const INPUT_SIZE = 512;
const BenchPortState = struct("bench-port", { room: u16, waiting: u16, input: bytes(INPUT_SIZE) });

/** A chardev whose host side is the test: it types, reads what was sent, and says how much more it takes. */
export class BenchPort implements CharPort {
  readonly #state: ReturnType<typeof BenchPortState.at>;
  readonly sent: number[];
  #handler = (): void => {};

  constructor(arena: StateArena, id: string, sent: number[]) {
    this.#state = arena.record(`port:${id}`, {
      kind: "bench-port",
      version: 1,
      compat: 1,
      layout: BenchPortState,
    });
    this.sent = sent;
  }

  canWrite(): boolean {
    return this.#state.room > 0;
  }

  write(byte: number): void {
    if (!this.canWrite()) return;
    this.#state.room--;
    this.sent.push(byte);
  }

  read(): number {
    if (this.#state.waiting === 0) return -1;
    const byte = this.#state.input[0] as number;
    this.#state.input.copyWithin(0, 1);
    this.#state.waiting--;
    return byte;
  }

  readable(): number {
    return this.#state.waiting;
  }

  onEvent(handler: () => void): void {
    this.#handler = handler;
  }

  /** Sends bytes to the guest; what does not fit is lost. */
  type(...values: number[]): void {
    for (const value of values.slice(0, INPUT_SIZE - this.#state.waiting)) {
      this.#state.input[this.#state.waiting++] = value;
    }
    this.#handler();
  }

  /** Takes up to `count` bytes more from the guest; quietly where the port's event is still to come. */
  setRoom(count: number, how?: "quietly"): void {
    this.#state.room = count;
    if (how !== "quietly") this.#handler();
  }

  /** What was sent, as text. */
  text(): string {
    return String.fromCharCode(...this.sent);
  }
}

export class DeviceBench implements DeviceContext {
  readonly role;
  readonly arena: StateArena;
  readonly pio = new Bus("I/O port", 0x10000);
  readonly mmio = new Bus("memory", 2 ** 52);
  readonly lock: DeviceLock;
  readonly clock: BenchClock;
  readonly requests: { kind: MachineRequest; status: number }[];
  /** Every change of a line, in order. */
  readonly edges: { gsi: number; level: number }[];
  readonly lines = new Map<number, IrqLine>();
  readonly ports = new Map<string, BenchPort>();
  readonly #timers: { timer: DeviceTimer; expire: () => void }[] = [];
  readonly #time: BenchTime;
  readonly #words: Int32Array;
  readonly #sent: Map<string, number[]>;

  /** @param other With it the bench of another thread of the same machine: its state is shared. */
  constructor(other?: DeviceBench) {
    this.role = other ? ("vcpu" as const) : ("main" as const);
    this.arena = new StateArena(other?.arena.buffer);
    this.#time = other ? other.#time : { now: 1e9, wall: BigInt(BENCH_WALL_MS) * 1_000_000n };
    this.#words = other ? other.#words : new Int32Array(new SharedArrayBuffer(4));
    this.#sent = other ? other.#sent : new Map();
    this.requests = other ? other.requests : [];
    this.edges = other ? other.edges : [];
    this.lock = new DeviceLock(this.#words, 0);
    this.clock = new BenchClock(this.arena, this.#time);
  }

  irq(gsi: number, trigger: "edge" | "level" = "edge"): IrqLine {
    const line = new IrqLine(this.arena, gsi, trigger, (gsi, level) => this.edges.push({ gsi, level }));
    this.lines.set(gsi, line);
    return line;
  }

  timer(name: string, expire: () => void): DeviceTimer {
    const timer = new DeviceTimer(this.arena, name, () => {});
    this.#timers.push({ timer, expire });
    return timer;
  }

  chardev(id: string): BenchPort {
    const sent = this.#sent.get(id) ?? [];
    this.#sent.set(id, sent);
    const port = new BenchPort(this.arena, id, sent);
    this.ports.set(id, port);
    return port;
  }

  request(kind: MachineRequest, status = 0): void {
    this.requests.push({ kind, status });
  }

  level(gsi: number): number {
    return this.lines.get(gsi)?.level ?? 0;
  }

  /** The one port of a bench whose device has one. */
  get port(): BenchPort {
    return [...this.ports.values()][0] as BenchPort;
  }

  in8 = (port: number): number => this.pio.read(port, 1);
  out8 = (port: number, value: number): void => this.pio.write(port, 1, value);

  /** Moves both clocks on and calls the timers that expire on the way, each at its time. */
  advance(ns: number): void {
    const end = this.#time.now + ns;
    for (let next = this.#earliest(); next && next.timer.deadline <= end; next = this.#earliest()) {
      this.#moveTo(Math.max(this.#time.now, next.timer.deadline));
      next.timer.disarm();
      this.lock.with(next.expire);
    }
    this.#moveTo(end);
  }

  /** Steps the host's wall clock alone. */
  stepWall(ms: number): void {
    this.#time.wall += BigInt(ms) * 1_000_000n;
  }

  /** Puts this bench's clocks at those of another. */
  setTimeOf(other: DeviceBench): void {
    Object.assign(this.#time, other.#time);
  }

  #earliest() {
    const armed = this.#timers.filter(({ timer }) => timer.deadline !== 0);
    return armed.sort((a, b) => a.timer.deadline - b.timer.deadline)[0];
  }

  #moveTo(now: number): void {
    this.#time.wall += BigInt(now - this.#time.now);
    this.#time.now = now;
  }
}
