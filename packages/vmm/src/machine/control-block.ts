/**
 * The control block: a SharedArrayBuffer by which the threads of the VMM steer each other. Unlike the state arena, none of
 * it is saved: it describes threads, not the guest.
 *
 * Words (i32): 0 the device lock, 1 the doorbell of the main thread, 2 what the guest asked of the machine, 3 the exit
 * status it gave; from 16 on, 16 words per vCPU. Behind the words: one report of up to 1 KiB per vCPU.
 */
import type { VcpuExitReport } from "../accel/accelerator.ts";
import { MAX_CPUS } from "../config/vm-config.ts";
import { DeviceLock } from "../device/device-lock.ts";
import { Doorbell } from "./doorbell.ts";
import { VcpuControl } from "./vcpu-control.ts";

const LOCK = 0;
const DOORBELL = 1;
const REQUESTS = 2;
const EXIT_STATUS = 3;
const FIRST_VCPU = 16;
const WORDS_PER_VCPU = 16;
const REPORTS = (FIRST_VCPU + MAX_CPUS * WORDS_PER_VCPU) * 4;
const REPORT_SIZE = 1024;

/** What the guest can ask for, as bits. */
export const REQUEST_BITS = { reset: 1, shutdown: 2, exit: 4, suspend: 8 } as const;

export class ControlBlock {
  readonly buffer: SharedArrayBuffer;
  readonly lock: DeviceLock;
  readonly doorbell: Doorbell;
  #words: Int32Array;
  #vcpus: VcpuControl[] = [];

  constructor(buffer = new SharedArrayBuffer(REPORTS + MAX_CPUS * REPORT_SIZE)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, REPORTS / 4);
    this.lock = new DeviceLock(this.#words, LOCK);
    this.doorbell = new Doorbell(this.#words, DOORBELL);
  }

  vcpu(index: number): VcpuControl {
    this.#vcpus[index] ??= new VcpuControl(this.#words, FIRST_VCPU + index * WORDS_PER_VCPU);
    return this.#vcpus[index];
  }

  /** Notes a request of the guest. */
  putRequest(kind: keyof typeof REQUEST_BITS, status: number): void {
    if (kind === "exit") Atomics.store(this.#words, EXIT_STATUS, status);
    Atomics.or(this.#words, REQUESTS, REQUEST_BITS[kind]);
  }

  /** Whether the guest asked for something that was not taken yet: no vCPU is to go on then. */
  get requested(): boolean {
    return Atomics.load(this.#words, REQUESTS) !== 0;
  }

  /** Takes all requests as `REQUEST_BITS`, with the exit status. */
  takeRequests(): { bits: number; status: number } {
    return {
      bits: Atomics.exchange(this.#words, REQUESTS, 0),
      status: Atomics.load(this.#words, EXIT_STATUS),
    };
  }

  putReport(report: VcpuExitReport): void {
    const text = new TextEncoder().encode(JSON.stringify(report)).subarray(0, REPORT_SIZE - 4);
    const at = REPORTS + report.vcpu * REPORT_SIZE;
    new Uint8Array(this.buffer, at + 4, text.length).set(text);
    new DataView(this.buffer).setUint32(at, text.length, true);
  }

  /** Takes the report of a vCPU, if it made one. */
  takeReport(vcpu: number): VcpuExitReport | undefined {
    const at = REPORTS + vcpu * REPORT_SIZE;
    const view = new DataView(this.buffer);
    const length = view.getUint32(at, true);
    if (length === 0) return undefined;
    view.setUint32(at, 0, true);
    return JSON.parse(new TextDecoder().decode(new Uint8Array(this.buffer, at + 4, length).slice()));
  }
}
