/** The RAM of a heartbeat guest, seen from outside: by an fd of our own of the memfd that is its RAM. */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { COUNT_STRIDE, FAULTS, HEARTBEAT } from "@vmm/vmm/boot/heartbeat/map.ts";
import { openFdsOf } from "./proc.ts";

const PAGE = 4096;
const RAM_LINK = "/memfd:ram0 (deleted)";

/** What the guest knows of itself, at one moment. */
export interface Heartbeat {
  /** How far each vCPU has counted. */
  readonly counts: readonly number[];
  /** Tick lines printed. */
  readonly ticks: number;
  readonly interrupts: number;
  readonly secret: number;
  /** vCPUs other than the boot processor that count. */
  readonly started: number;
  /** `none`, or what the guest found wrong with itself. */
  readonly fault: string;
}

export class GuestRam {
  readonly #fd: number;
  readonly #cpus: number;
  readonly #word = Buffer.alloc(4);

  /** @param pid The process that runs the guest. Others may run it later: the RAM stays the same. */
  constructor(pid: number, cpus: number) {
    const ram = openFdsOf(pid).find(({ link }) => link === RAM_LINK);
    if (!ram) throw new Error(`process ${pid} has no guest RAM: no fd is ${RAM_LINK}`);
    this.#fd = openSync(`/proc/${pid}/fd/${ram.fd}`, "r");
    this.#cpus = cpus;
  }

  /** By which others can open the RAM, whoever runs the guest. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.#fd}`;
  }

  /** A u32 at a guest-physical address below 640 KiB. */
  word(address: number): number {
    readSync(this.#fd, this.#word, 0, 4, address);
    return this.#word.readUInt32LE();
  }

  read(): Heartbeat {
    const fault = this.word(HEARTBEAT.FAULT);
    return {
      counts: Array.from({ length: this.#cpus }, (_, cpu) => this.word(HEARTBEAT.COUNT + COUNT_STRIDE * cpu)),
      ticks: this.word(HEARTBEAT.TICKS),
      interrupts: this.word(HEARTBEAT.INTERRUPTS),
      secret: this.word(HEARTBEAT.SECRET),
      started: this.word(HEARTBEAT.STARTED),
      fault: FAULTS[fault] ?? `unknown ${fault}`,
    };
  }

  /** Has the boot processor halt between its counts, of which there are few then: such a guest of one vCPU leaves the host its time. */
  rest(): void {
    this.write(HEARTBEAT.REST, Uint8Array.of(1));
  }

  /** Writes something into each page of that part, which the guest does not use. */
  fill(from: number, to: number): void {
    const fd = openSync(this.path, "r+");
    for (let at = from; at < to; at += PAGE) writeSync(fd, Uint8Array.of(1), 0, 1, at);
    closeSync(fd);
  }

  /** Writes bytes: of code, say. */
  write(address: number, bytes: Uint8Array): void {
    const fd = openSync(this.path, "r+");
    writeSync(fd, bytes, 0, bytes.length, address);
    closeSync(fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
