/**
 * Serving KVM exits: port and memory accesses go to the buses on the thread that took the exit, under the device lock.
 * What ends a guest becomes a report, not a crash. Structures: `struct kvm_run` in `linux/kvm.h`.
 */
import { errnoName } from "@vmm/libc";
import type { Bus } from "../../bus/bus.ts";
import type { ExitTargets, VcpuExitReport } from "../accelerator.ts";
import {
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_HLT,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_INTR,
  KVM_EXIT_IO,
  KVM_EXIT_IO_OUT,
  KVM_EXIT_IRQ_WINDOW_OPEN,
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_EXIT_SYSTEM_EVENT,
  KVM_SYSTEM_EVENT_RESET,
  RUN,
} from "./uapi/kvm.ts";

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** The next access of a memory exit with so many bytes left: an access that crosses a page leaves odd lengths. */
const partSize = (left: number): number => (left >= 4 ? 4 : left >= 2 ? 2 : 1);

export class ExitDispatch {
  #run: DataView;
  #targets: ExitTargets;
  #vcpu: number;

  /** @param run The vCPU's run structure. */
  constructor(run: DataView, targets: ExitTargets, vcpu: number) {
    this.#run = run;
    this.#targets = targets;
    this.#vcpu = vcpu;
  }

  /** Serves the exit that the run structure describes. */
  serve(): void {
    const reason = this.#run.getUint32(RUN.EXIT_REASON, true);
    if (reason === KVM_EXIT_IO) this.#io();
    else if (reason === KVM_EXIT_MMIO) this.#mmio();
    else this.#other(reason);
    this.#targets.accessed?.();
  }

  /** KVM_RUN failed with this errno, and not because of a kick. */
  fail(error: number): void {
    const name = errnoName(error);
    if (this.#run.getUint32(RUN.EXIT_REASON, true) === KVM_EXIT_MEMORY_FAULT) {
      const address = hex(this.#run.getBigUint64(RUN.MEMORY_FAULT_GPA, true));
      this.#targets.sink.report(
        this.#report("memory-fault", `no memory at guest address ${address}: KVM_RUN failed with ${name}`),
      );
    } else {
      this.#targets.sink.report(this.#report("run-failed", `KVM_RUN failed with ${name}`));
    }
  }

  #io(): void {
    const run = this.#run;
    const size = run.getUint8(RUN.IO_SIZE);
    const port = run.getUint16(RUN.IO_PORT, true);
    const count = run.getUint32(RUN.IO_COUNT, true);
    const out = run.getUint8(RUN.IO_DIRECTION) === KVM_EXIT_IO_OUT;
    let at = run.getUint32(RUN.IO_DATA_OFFSET, true);
    const { pio, lock } = this.#targets;
    lock.acquire();
    try {
      for (let i = 0; i < count; i++, at += size) {
        if (out) pio.write(port, size, this.#get(at, size));
        else this.#set(at, size, pio.read(port, size));
      }
    } finally {
      lock.release();
    }
  }

  #mmio(): void {
    const run = this.#run;
    const length = run.getUint32(RUN.MMIO_LENGTH, true);
    const address =
      run.getUint32(RUN.MMIO_ADDRESS, true) + run.getUint32(RUN.MMIO_ADDRESS + 4, true) * 2 ** 32;
    const write = run.getUint8(RUN.MMIO_IS_WRITE) !== 0;
    const { mmio, lock } = this.#targets;
    lock.acquire();
    try {
      for (let done = 0; done < length; ) {
        const size = partSize(length - done);
        this.#mmioPart(mmio, address + done, size, RUN.MMIO_DATA + done, write);
        done += size;
      }
    } finally {
      lock.release();
    }
  }

  #mmioPart(mmio: Bus, address: number, size: number, at: number, write: boolean): void {
    if (write) mmio.write(address, size, this.#get(at, size));
    else this.#set(at, size, mmio.read(address, size));
  }

  #get(at: number, size: number): number {
    if (size === 1) return this.#run.getUint8(at);
    if (size === 2) return this.#run.getUint16(at, true);
    return this.#run.getUint32(at, true);
  }

  #set(at: number, size: number, value: number): void {
    if (size === 1) this.#run.setUint8(at, value);
    else if (size === 2) this.#run.setUint16(at, value, true);
    else this.#run.setUint32(at, value, true);
  }

  #other(reason: number): void {
    const { sink } = this.#targets;
    switch (reason) {
      case KVM_EXIT_INTR:
      case KVM_EXIT_IRQ_WINDOW_OPEN:
      case KVM_EXIT_HLT:
        return;
      case KVM_EXIT_SHUTDOWN:
        // a triple fault resets a PC
        sink.reset();
        return;
      case KVM_EXIT_SYSTEM_EVENT:
        if (this.#run.getUint32(RUN.SYSTEM_EVENT_TYPE, true) === KVM_SYSTEM_EVENT_RESET) sink.reset();
        else
          sink.report(
            this.#report("system-event", `type ${this.#run.getUint32(RUN.SYSTEM_EVENT_TYPE, true)}`),
          );
        return;
      case KVM_EXIT_FAIL_ENTRY:
        sink.report(
          this.#report("fail-entry", `hardware reason ${hex(this.#run.getBigUint64(RUN.FAIL_REASON, true))}`),
        );
        return;
      case KVM_EXIT_INTERNAL_ERROR:
        sink.report(this.#report("internal-error", this.#internalError()));
        return;
      default:
        sink.report(this.#report("unknown-exit", `exit reason ${reason}`));
    }
  }

  #internalError(): string {
    const count = Math.min(16, this.#run.getUint32(RUN.INTERNAL_NDATA, true));
    const data = Array.from({ length: count }, (_, i) =>
      hex(this.#run.getBigUint64(RUN.INTERNAL_DATA + 8 * i, true)),
    );
    const suberror = this.#run.getUint32(RUN.INTERNAL_SUBERROR, true);
    const what = [
      "",
      "emulation failure",
      "simultaneous exception",
      "delivery of an event",
      "unexpected exit",
    ];
    return `suberror ${suberror} (${what[suberror] ?? "unknown"})${data.length ? `, data ${data.join(" ")}` : ""}`;
  }

  #report(kind: VcpuExitReport["kind"], detail: string): VcpuExitReport {
    return { vcpu: this.#vcpu, kind, detail };
  }
}
