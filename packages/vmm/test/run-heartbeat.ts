/**
 * Runs the heartbeat guest straight on KVM: one Worker per vCPU and as much of a UART as the guest looks at. A program of
 * its own, so that a test can end it whatever happens.
 *
 * Usage: bun run-heartbeat.ts RUN, where RUN is a {@link HeartbeatRun} in JSON. Prints a {@link HeartbeatReport} in JSON.
 */
import {
  E,
  errno,
  ftruncate,
  ioctl,
  ioctlRaw,
  MAP_SHARED,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  O_CLOEXEC,
  O_RDWR,
  open,
  PROT_READ,
  PROT_WRITE,
} from "@vmm/libc";
import * as kvm from "../src/accel/kvm/uapi/kvm.ts";
import { RUN } from "../src/accel/kvm/uapi/kvm.ts";
import type { VcpuEntry } from "../src/boot/boot.ts";
import { COUNT_STRIDE, HEARTBEAT } from "../src/boot/heartbeat/map.ts";
import { loadHeartbeat } from "../src/boot/heartbeat.ts";
import { loadKernel, readKernelFiles } from "../src/boot/load-kernel.ts";
import { GuestMemory, type MemorySlot } from "../src/memory/guest-memory.ts";

const RAM_SIZE = 16 << 20;
/** Ends a run in which the guest does not do what it should. */
const LIMIT_MS = 15_000;
export const PORTS = { pm1aControl: 0x604, powerOffValue: 0x2000 | (5 << 10), pm1aStatus: 0x600 };

/** What happens once the guest has printed `after` lines. */
export interface HeartbeatEvent {
  readonly after: number;
  /** Bytes that come in over the UART. */
  readonly input?: string;
  /** A word that is written to guest RAM: address and value. */
  readonly poke?: readonly [number, number];
  /** The power button. */
  readonly button?: boolean;
}

export interface HeartbeatRun {
  readonly cpus: number;
  /** Lines after which the run ends. */
  readonly lines: number;
  readonly events?: readonly HeartbeatEvent[];
  /** A kernel file that has the guest in it, rather than the guest by itself. */
  readonly kernel?: string;
  readonly initrd?: string;
}

export interface HeartbeatReport {
  readonly console: string;
  /** Why the run ended: `lines`, `fault`, `power off 3400`, `reset`, `debug exit`, `exit 8`, `time limit`. */
  readonly end: string;
  readonly exits: number;
  /** Milliseconds from the first KVM_RUN to the end of the first line. */
  readonly firstTickMs: number;
  /** Each vCPU's count. */
  readonly counts: readonly number[];
  /** Words of HEARTBEAT by their name. */
  readonly words: Readonly<Record<string, number>>;
}

/** What a vCPU's Worker is told. */
interface Job {
  readonly vcpu: number;
  readonly runSize: number;
  readonly run: HeartbeatRun;
  readonly slots: readonly MemorySlot[];
}

type Outcome = Omit<HeartbeatReport, "counts" | "words">;

declare const self: Worker;

if (!Bun.isMainThread) self.onmessage = ({ data }: MessageEvent<Job>) => self.postMessage(runVcpu(data));
else if (import.meta.main) main(JSON.parse(Bun.argv[2] ?? "{}"));

function main(run: HeartbeatRun): void {
  const device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  const vm = ioctl(device, kvm.KVM_CREATE_VM);
  ioctl(vm, kvm.KVM_SET_TSS_ADDR, 0xfffbd000);
  ioctl(vm, kvm.KVM_CREATE_IRQCHIP);
  ioctl(vm, kvm.KVM_CREATE_PIT2, kvm.KvmPitConfig.alloc());
  const memory = makeRam(vm);
  const runSize = ioctl(device, kvm.KVM_GET_VCPU_MMAP_SIZE);
  const vcpus = Array.from({ length: run.cpus }, (_, id) => ioctl(vm, kvm.KVM_CREATE_VCPU, id));
  enterProtectedMode(vcpus[0] as number, loadGuest(memory, run));

  const report = (outcome: Outcome) => {
    const word = (address: number) => memory.dataView(address, 4).getUint32(0, true);
    const counts = vcpus.map((_, id) => word(HEARTBEAT.COUNT + COUNT_STRIDE * id));
    const { TICKS, INTERRUPTS, SECRET, STARTED, FAULT, FAULT_CPU } = HEARTBEAT;
    const words = Object.entries({ TICKS, INTERRUPTS, SECRET, STARTED, FAULT, FAULT_CPU });
    const result = { ...outcome, counts, words: Object.fromEntries(words.map(([k, v]) => [k, word(v)])) };
    console.log(JSON.stringify(result satisfies HeartbeatReport));
    process.exit(0);
  };
  const failed = (end: string) => report({ console: "", end, exits: 0, firstTickMs: -1 });
  setTimeout(() => failed("time limit"), LIMIT_MS);
  for (const vcpu of vcpus) {
    const worker = new Worker(import.meta.url);
    worker.onmessage = ({ data }: MessageEvent<Outcome>) => report(data);
    worker.onerror = ({ message }) => failed(message);
    worker.postMessage({ vcpu, runSize, run, slots: memory.slots } satisfies Job);
  }
}

function loadGuest(memory: GuestMemory, { cpus, kernel, initrd }: HeartbeatRun): VcpuEntry {
  const memoryMap = memory.slots.map(({ gpa, size }) => ({ base: gpa, size, type: 1 as const }));
  const info = { memory, memoryMap, lowRamEnd: RAM_SIZE, rsdp: 0, cpus };
  if (kernel === undefined) return loadHeartbeat(info, PORTS);
  const files = readKernelFiles({ kernel, ...(initrd && { initrd }), cmdline: "heartbeat" });
  return loadKernel(files, info);
}

function makeRam(vm: number): GuestMemory {
  const fd = memfdCreate("ram", MFD_CLOEXEC);
  ftruncate(fd, RAM_SIZE);
  const address = mmap({ length: RAM_SIZE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
  const slot = kvm.KvmUserspaceMemoryRegion.of({
    memory_size: BigInt(RAM_SIZE),
    userspace_addr: BigInt(address),
  });
  ioctl(vm, kvm.KVM_SET_USER_MEMORY_REGION, slot);
  return new GuestMemory([{ slot: 0, backend: "ram", gpa: 0, size: RAM_SIZE, address, offset: 0 }]);
}

/** As a boot loader's contract says: flat segments, no paging, interrupts off. */
function enterProtectedMode(vcpu: number, entry: VcpuEntry): void {
  const sregs = kvm.KvmSregs2.alloc();
  ioctl(vcpu, kvm.KVM_GET_SREGS2, sregs);
  const flat = {
    base: 0n,
    limit: 0xffffffff,
    present: 1,
    dpl: 0,
    db: 1,
    s: 1,
    g: 1,
    l: 0,
    avl: 0,
    unusable: 0,
  };
  Object.assign(sregs.cs, flat, { selector: 0x08, type: 11 });
  for (const segment of [sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss]) {
    Object.assign(segment, flat, { selector: 0x10, type: 3 });
  }
  sregs.cr0 = 0x11n;
  ioctl(vcpu, kvm.KVM_SET_SREGS2, sregs);
  ioctl(
    vcpu,
    kvm.KVM_SET_REGS,
    kvm.KvmRegs.of({
      rip: BigInt(entry.eip),
      rbx: BigInt(entry.ebx ?? 0),
      rsi: BigInt(entry.esi ?? 0),
      rflags: 2n,
    }),
  );
}

/** The exit loop of one vCPU. */
function runVcpu({ vcpu, runSize, run: { lines, events = [] }, slots }: Job): Outcome {
  const address = mmap({ length: runSize, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd: vcpu });
  const run = new DataView(memoryView(address, runSize));
  const started = performance.now();
  let out = "";
  const received: number[] = [];
  const memory = new GuestMemory(slots);
  let printed = 0;
  let isButtonPressed = false;
  let exits = 0;
  let firstTickMs = -1;
  const finish = (end: string): Outcome => ({
    console: out,
    end,
    exits,
    firstTickMs,
  });

  const happen = ({ input, poke, button }: HeartbeatEvent) => {
    if (input) received.push(...new TextEncoder().encode(input));
    if (poke) memory.dataView(poke[0], 4).setUint32(0, poke[1], true);
    if (button) isButtonPressed = true;
  };
  const transmit = (byte: number): string | undefined => {
    out += String.fromCharCode(byte);
    if (byte !== 10) return undefined;
    if (printed++ === 0) firstTickMs = performance.now() - started;
    if (out.includes("FAULT")) return "fault";
    if (printed >= lines) return "lines";
    for (const event of events) if (event.after === printed) happen(event);
    return undefined;
  };
  const readPort = (port: number): number => {
    if (port === 0x3fd) return 0x60 | (received.length ? 1 : 0);
    if (port === 0x3f8) return received.shift() ?? 0;
    if (port === PORTS.pm1aStatus) return isButtonPressed ? 0x100 : 0;
    return 0xffff;
  };
  /** The last write to the line control register, for the divisor latch. */
  let line = 0;
  const writePort = (port: number, value: number): string | undefined => {
    if (port === 0x3fb) line = value;
    if (port === 0x3f8 && !(line & 0x80)) return transmit(value & 0xff);
    if (port === PORTS.pm1aControl) return `power off ${value.toString(16)}`;
    if (port === 0x64 && value === 0xfe) return "reset";
    if (port === 0xf4) return "debug exit";
    return undefined;
  };

  for (;;) {
    if (ioctlRaw(vcpu, kvm.KVM_RUN.number, 0) < 0) {
      const error = errno();
      if (error === E.EINTR || error === E.EAGAIN) continue;
      return finish(`KVM_RUN errno ${error}`);
    }
    exits++;
    const reason = run.getUint32(RUN.EXIT_REASON, true);
    if (reason !== kvm.KVM_EXIT_IO) return finish(`exit ${reason}`);
    const port = run.getUint16(RUN.IO_PORT, true);
    const size = run.getUint8(RUN.IO_SIZE);
    const data = Number(run.getBigUint64(RUN.IO_DATA_OFFSET, true));
    if (run.getUint8(RUN.IO_DIRECTION) === kvm.KVM_EXIT_IO_OUT) {
      const end = writePort(port, size === 1 ? run.getUint8(data) : run.getUint16(data, true));
      if (end) return finish(end);
    } else if (size === 1) {
      run.setUint8(data, readPort(port) & 0xff);
    } else {
      run.setUint16(data, readPort(port), true);
    }
  }
}
