/**
 * A small machine for tests of the KVM accelerator: RAM at 0, a guest written with the assembler, and buses on which a
 * test puts its own devices. No chipset, no control socket; for use in a program of its own, see `kvm-case.ts`.
 */
import {
  close,
  ftruncate,
  MAP_SHARED,
  MFD_CLOEXEC,
  memfdCreate,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
} from "@vmm/libc";
import type { ExitTargets, VcpuExitReport } from "../src/accel/accelerator.ts";
import { KvmRunner, KvmVm } from "../src/accel/kvm/index.ts";
import { Assembler, al, edx } from "../src/boot/asm-x86.ts";
import { Bus, type BusTarget } from "../src/bus/bus.ts";
import { DeviceLock } from "../src/device/device-lock.ts";
import { GuestMemory } from "../src/memory/guest-memory.ts";

/** Where a test's guest code begins; below it lie its data and its stack. */
export const CODE = 0x10000;
/** Top of the stack. */
export const STACK = 0x10000;
/** A write here ends `Guest.run`. */
export const DONE_PORT = 0xf4;

const RAM_SIZE = 1 << 20;

/** RAM in a memfd, which outlives the VMs that are built over it. */
export class Ram {
  readonly address: number;
  readonly memory: GuestMemory;
  readonly fd: number;

  /** @param fd Memory that is there already. */
  constructor(fd?: number) {
    this.fd = fd ?? memfdCreate("test-ram", MFD_CLOEXEC);
    if (fd === undefined) ftruncate(this.fd, RAM_SIZE);
    this.address = mmap({
      length: RAM_SIZE,
      prot: PROT_READ | PROT_WRITE,
      flags: MAP_SHARED,
      fd: this.fd,
    });
    this.memory = new GuestMemory([
      { slot: 0, backend: "test-ram", gpa: 0, size: RAM_SIZE, offset: 0, address: this.address },
    ]);
  }

  /** A u32 that the guest may be writing. */
  word(gpa: number): number {
    const bytes = this.memory.view(gpa, 4);
    return Atomics.load(new Uint32Array(bytes.buffer, bytes.byteOffset, 1), 0);
  }

  bytes(gpa: number, length: number): Uint8Array {
    return this.memory.view(gpa, length).slice();
  }

  /** Maps it as the VM's memory. */
  attach(vm: KvmVm): void {
    for (const slot of this.memory.slots) vm.setMemorySlot(slot);
  }

  close(): void {
    munmap(this.address, RAM_SIZE);
    close(this.fd);
  }
}

/** Assembles a guest; `finish` ends it wherever the program falls through. */
export function assemble(program: (a: Assembler) => void): Uint8Array {
  const a = new Assembler(CODE);
  program(a);
  finish(a);
  return a.assemble();
}

/** Tells the test that the guest is done, and waits for the end. */
export function finish(a: Assembler): void {
  finishAndGoOn(a);
  a.byte(0xeb, 0xfe);
}

/** Ends `Guest.run`; the next one goes on behind it. */
export function finishAndGoOn(a: Assembler): void {
  a.mov(edx, DONE_PORT);
  a.out(al);
}

/** A bus and a lock of their own, and what ended the guest. */
export class Targets implements ExitTargets {
  readonly pio = new Bus("I/O port", 0x10000);
  readonly mmio = new Bus("memory", 2 ** 52);
  readonly lock = new DeviceLock(new Int32Array(new SharedArrayBuffer(4)), 0);
  /** `done`, `reset`, or the report's kind, in order. */
  readonly ends: string[] = [];
  readonly reports: VcpuExitReport[] = [];
  readonly sink = {
    reset: () => {
      this.ends.push("reset");
    },
    report: (report: VcpuExitReport) => {
      this.reports.push(report);
      this.ends.push(report.kind);
    },
  };

  constructor() {
    this.ports(DONE_PORT, 1, { read: () => 0, write: () => this.ends.push("done") });
  }

  ports(base: number, size: number, target: BusTarget): void {
    this.pio.claim({ name: `test ports ${base.toString(16)}`, base, size, target });
  }

  memory(base: number, size: number, target: BusTarget): void {
    this.mmio.claim({ name: `test memory ${base.toString(16)}`, base, size, target });
  }
}

/** A VM with one vCPU that runs on the calling thread. */
export class Guest {
  readonly ram: Ram;
  readonly vm: KvmVm;
  readonly targets = new Targets();

  /** @param program The guest's code; missing where the memory holds it already. */
  constructor(program?: (a: Assembler) => void, ram = new Ram(), vm = new KvmVm(1)) {
    this.ram = ram;
    this.vm = vm;
    ram.attach(vm);
    if (!program) return;
    ram.memory.write(CODE, assemble(program));
    vm.reset({ eip: CODE, esp: STACK });
  }

  /** Another VM over the same memory, which has no state yet. */
  over(vm: KvmVm): Guest {
    return new Guest(undefined, this.ram, vm);
  }

  /** Runs until the guest writes the done port, asks for a reset or fails. Returns which. */
  run(): string {
    const { ends } = this.targets;
    const before = ends.length;
    const [vcpu] = this.vm.vcpus;
    if (!vcpu) throw new Error("no vCPU");
    const runner = new KvmRunner(vcpu.handle, this.targets);
    runner.run(() => ends.length > before);
    runner.close();
    return ends.at(-1) ?? "";
  }
}

/** Logs each access as `w4@10=deadbeef` or `r1@3`, and answers reads by `answer`. */
export function recorder(answer: (offset: number, size: number) => number): BusTarget & { log: string[] } {
  const log: string[] = [];
  const hex = (value: number) => value.toString(16);
  return {
    log,
    read(offset, size) {
      log.push(`r${size}@${hex(offset)}`);
      return answer(offset, size);
    },
    write(offset, size, value) {
      log.push(`w${size}@${hex(offset)}=${hex(value)}`);
    },
  };
}
