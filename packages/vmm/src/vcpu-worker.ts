/**
 * The program of a vCPU thread: builds the devices over the shared arena, then runs its vCPU until told to quit.
 *
 * It never returns to its event loop while it runs, so all that it is told comes through the control block.
 */

import { runOrdinarily } from "@vmm/libc";
import type { ExitSink, VcpuHandle } from "./accel/accelerator.ts";
import { KvmRunner, rehearseExits, setKvmIrqLevel } from "./accel/kvm/index.ts";
import { LSR, RBR_THR } from "./chipset/uart-16550-registers.ts";
import type { VmConfig } from "./config/vm-config.ts";
import { ControlBlock } from "./machine/control-block.ts";
import { DeviceHost } from "./machine/device-host.ts";
import { importPlugins } from "./machine/plugins.ts";
import { rehearsedHost } from "./machine/rehearsed-host.ts";
import { WANT } from "./machine/vcpu-control.ts";

/** What the main thread posts to a new vCPU thread. */
export interface VcpuThreadStart {
  readonly config: VmConfig;
  readonly handle: VcpuHandle;
  readonly arena: SharedArrayBuffer;
  /** Digest of the main thread's arena: this thread must come to the same. */
  readonly digest: number;
  readonly control: SharedArrayBuffer;
  /** Of KVM: the VM's fd. */
  readonly vm: number;
  /** Whether nobody runs the vCPU until this thread does. */
  readonly idle: boolean;
}

async function runVcpu(start: VcpuThreadStart): Promise<void> {
  const control = new ControlBlock(start.control);
  const thread = control.vcpu(start.handle.index);
  await importPlugins(start.config.plugins);
  const host = new DeviceHost({
    role: "vcpu",
    config: start.config,
    arena: start.arena,
    control,
    setIrqLevel: (gsi, level) => setKvmIrqLevel(start.vm, gsi, level),
    requested: () => thread.pauseSelf(),
  });
  if (host.arena.digest() !== start.digest) {
    throw new Error("the devices of this thread differ from those of the main thread");
  }
  const sink: ExitSink = {
    reset: () => host.request("reset"),
    report(report) {
      thread.pauseSelf();
      control.putReport(report);
      control.doorbell.ring("vcpu");
    },
  };
  const { pio, mmio, lock } = host;
  const accessed = () => thread.noteAccess();
  const runner = new KvmRunner(start.handle, { pio, mmio, lock, sink, accessed });
  const shouldStop = () => thread.wanted !== WANT.run;
  // before the thread is known by its number: then none can come
  runner.rehearseKick(shouldStop);
  if (start.idle) {
    rehearseOutput(start.config);
    runner.prepare();
  }
  thread.tid = runner.tid;
  try {
    while (thread.awaitRun()) {
      thread.enter("running");
      if (thread.takeHurried()) runOrdinarily();
      runner.run(shouldStop);
    }
  } finally {
    // whatever has ended it: it goes back to its event loop, where a kick would kill the process
    thread.tid = 0;
    runner.close();
  }
  thread.enter("ended");
}

/** Goes through a guest's output, which is what most guests are first heard of by. */
function rehearseOutput(config: VmConfig): void {
  const { pio, mmio, lock, rings, chipset } = rehearsedHost(config, "vcpu");
  const [[uart], [ring]] = [chipset.uarts, rings.values()];
  if (!uart || !ring) return;
  lock.with(() => uart.reset());
  // so that the main thread would have to be told each time
  const accessed = () => ring.answer();
  const sink: ExitSink = { reset() {}, report() {} };
  rehearseExits({ pio, mmio, lock, sink, accessed }, { write: uart.base + RBR_THR, read: uart.base + LSR });
}

declare const self: Worker;

self.onmessage = (event: MessageEvent<VcpuThreadStart>) => {
  runVcpu(event.data).catch((error) => {
    // the main thread hears of it through the Worker's error event
    setTimeout(() => {
      throw error;
    }, 0);
  });
};
