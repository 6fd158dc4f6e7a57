/**
 * The vCPU thread of bench:exit. Rounds of both kinds take turns: exits that KVM_RUN alone takes, with nobody to serve
 * them, and the same exits served as in any VM, by `KvmRunner`, the bus, the device lock and the UART.
 */
import { ioctl, ioctlRaw, MAP_SHARED, memoryView, mmap, monotonicNs, PROT_READ, PROT_WRITE } from "@vmm/libc";
import type { ExitSink } from "@vmm/vmm/accel/accelerator.ts";
import { KvmRunner, setKvmIrqLevel } from "@vmm/vmm/accel/kvm/index.ts";
import { KVM_GET_REGS, KVM_RUN, KVM_SET_REGS, KvmRegs, RUN } from "@vmm/vmm/accel/kvm/uapi/kvm.ts";
import { ControlBlock } from "@vmm/vmm/machine/control-block.ts";
import { DeviceHost } from "@vmm/vmm/machine/device-host.ts";
import { ACCESSES, type ThreadResult, type ThreadStart } from "./protocol.ts";

/** Rounds before those that count, in which the engine compiles what runs often. */
const WARM_UP = 3;

class Bench {
  #start: ThreadStart;
  #runner: KvmRunner;
  #run: DataView;
  #ended = false;
  #error = "";

  constructor(start: ThreadStart) {
    this.#start = start;
    const host = new DeviceHost({
      role: "vcpu",
      config: start.config,
      arena: start.arena,
      control: new ControlBlock(start.control),
      setIrqLevel: (gsi, level) => setKvmIrqLevel(start.vm, gsi, level),
      requested: () => {
        this.#ended = true;
      },
    });
    const sink: ExitSink = {
      reset: () => host.request("reset"),
      report: ({ kind, detail }) => {
        this.#ended = true;
        this.#error = `${kind}: ${detail}`;
      },
    };
    const { fd, runSize } = start.handle;
    this.#runner = new KvmRunner(start.handle, { pio: host.pio, mmio: host.mmio, lock: host.lock, sink });
    const address = mmap({ length: runSize, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
    this.#run = new DataView(memoryView(address, runSize));
  }

  measure(): ThreadResult {
    const series = () => ({ bare: [] as number[], served: [] as number[] });
    const result = { "LSR read": series(), "THR write": series() } satisfies ThreadResult;
    for (let round = -WARM_UP; round < this.#start.rounds; round++) {
      for (const access of ACCESSES) {
        const entry = this.#start.entries[access];
        const bare = this.#bare(entry);
        const served = this.#served(entry);
        if (round < 0) continue;
        result[access].bare.push(bare);
        result[access].served.push(served);
      }
    }
    return result;
  }

  #enter(eip: number): void {
    const { fd } = this.#start.handle;
    const regs = KvmRegs.alloc();
    ioctl(fd, KVM_GET_REGS, regs);
    regs.rip = BigInt(eip);
    ioctl(fd, KVM_SET_REGS, regs);
  }

  /** ns per exit of a loop that does nothing but the system call. */
  #bare(entry: number): number {
    const { handle, exits } = this.#start;
    const { fd } = handle;
    this.#enter(entry);
    let failed = 0;
    const before = monotonicNs();
    for (let i = 0; i < exits; i++) failed |= ioctlRaw(fd, KVM_RUN.number, 0);
    const ns = monotonicNs() - before;
    // the write that ends the guest's loop, and the end of that write
    failed |= ioctlRaw(fd, KVM_RUN.number, 0);
    this.#run.setUint8(RUN.IMMEDIATE_EXIT, 1);
    ioctlRaw(fd, KVM_RUN.number, 0);
    this.#run.setUint8(RUN.IMMEDIATE_EXIT, 0);
    if (failed < 0) throw new Error("KVM_RUN failed");
    return ns / exits;
  }

  #served(entry: number): number {
    this.#enter(entry);
    this.#ended = false;
    const before = monotonicNs();
    this.#runner.run(() => this.#ended);
    const ns = monotonicNs() - before;
    if (this.#error) throw new Error(this.#error);
    return ns / this.#start.exits;
  }
}

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<ThreadStart>) => {
  self.postMessage(new Bench(data).measure());
};
