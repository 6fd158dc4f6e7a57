/**
 * A vCPU thread for tests: as `vcpu-worker.ts`, but with a device of the test's. The device hands out a sequence of
 * numbers and checks the one that the guest sends back, so that an access that is lost, repeated or half done shows.
 */

import type { VcpuHandle } from "../src/accel/accelerator.ts";
import { KvmRunner } from "../src/accel/kvm/index.ts";
import { VcpuControl, WANT } from "../src/machine/vcpu-control.ts";
import { Targets } from "./kvm-guest.ts";

/** Ports of the sequence device: read the next number; write back how many there were. */
export const SEQUENCE = { next: 0x500, confirm: 0x504 } as const;
/** The same as registers in memory, for their own sequence. */
export const SEQUENCE_MMIO = 0xd0000000;

/** Words of the memory that the threads of a test share. */
export const SHARED = {
  /** Of the vCPU thread's control, see `VcpuControl`. */
  control: 0,
  /** The next number at the port and in memory. */
  next: 16,
  nextMmio: 17,
  /** Numbers that came back wrong. */
  wrong: 18,
  /** Set where the guest gave up or asked for a reset. */
  ended: 19,
  /** Exits that the thread served. */
  exits: 20,
} as const;

export interface ThreadStart {
  readonly handle: VcpuHandle;
  readonly shared: SharedArrayBuffer;
}

/** Buses with the sequence device, whose state is in shared memory. */
export function sequenceTargets(words: Int32Array, served: () => void = () => {}): Targets {
  const targets = new Targets();
  const device = (register: number) => ({
    read: () => {
      served();
      return Atomics.add(words, register, 1);
    },
    write: (_offset: number, _size: number, value: number) => {
      served();
      if (value !== Atomics.load(words, register)) Atomics.add(words, SHARED.wrong, 1);
    },
  });
  const [port, memory] = [device(SHARED.next), device(SHARED.nextMmio)];
  const noWrite = { write: () => Atomics.add(words, SHARED.wrong, 1) };
  const noRead = { read: () => 0 };
  targets.ports(SEQUENCE.next, 4, { ...port, ...noWrite });
  targets.ports(SEQUENCE.confirm, 4, { ...port, ...noRead });
  targets.memory(SEQUENCE_MMIO, 4, { ...memory, ...noWrite });
  targets.memory(SEQUENCE_MMIO + 4, 4, { ...memory, ...noRead });
  return targets;
}

declare const self: Worker;

if (!Bun.isMainThread) {
  self.onmessage = ({ data }: MessageEvent<ThreadStart>) => {
    const words = new Int32Array(data.shared);
    const thread = new VcpuControl(words, SHARED.control);
    const targets = sequenceTargets(words, () => Atomics.add(words, SHARED.exits, 1));
    const runner = new KvmRunner(data.handle, targets);
    thread.tid = runner.tid;
    const shouldStop = () => {
      if (targets.ends.length > 0) {
        Atomics.store(words, SHARED.ended, 1);
        thread.pauseSelf();
      }
      return thread.wanted !== WANT.run;
    };
    while (thread.awaitRun()) {
      thread.enter("running");
      runner.run(shouldStop);
    }
    runner.close();
    thread.enter("ended");
  };
}
