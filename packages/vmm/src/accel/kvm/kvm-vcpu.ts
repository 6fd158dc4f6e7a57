/** A vCPU of KVM as the main thread sees it: made, configured, kicked, saved and loaded here; run elsewhere. */
import type { SavedRecord } from "@vmm/cpr";
import {
  type BatchArgument,
  type BatchCall,
  close,
  getpid,
  ioctl,
  MAP_SHARED,
  memoryView,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
  SYS,
  setBitCall,
  tgkill,
} from "@vmm/libc";
import type { VcpuEntry } from "../../boot/boot.ts";
import type { AccelVcpu, RestoreTime, VcpuHandle } from "../accelerator.ts";
import { CPUID_LIST } from "./cpuid.ts";
import type { Kvm } from "./kvm.ts";
import { KICK_SIGNAL, unblockKickInRun } from "./kvm-runner.ts";
import { hasIndices } from "./msrs.ts";
import { describeRegisters } from "./registers.ts";
import { opaqueRecord, savedList } from "./state-record.ts";
import { savedTscKhz, setTscKhz } from "./tsc.ts";
import {
  KVM_CREATE_VCPU,
  KVM_GET_SREGS2,
  KVM_SET_CPUID2,
  KVM_SET_REGS,
  KVM_SET_SREGS2,
  KvmRegs,
  KvmSregs2,
  RUN,
} from "./uapi/kvm.ts";
import { loadVcpu, savedMsrs, type VcpuFeatures, vcpuReads } from "./vcpu-state.ts";

/** Bit 0 of CR0 (protection enable) and bit 4 (extension type, always set). */
const CR0_PROTECTED = 0x11n;

/** The record of the CPUID. */
const CPUID = "kvm-cpuid";

export class KvmVcpu implements AccelVcpu {
  readonly index: number;
  readonly handle: VcpuHandle;
  /** The vCPU's run structure. */
  readonly run: DataView;
  #immediateExit: Uint8Array;
  #address: number;
  #features: VcpuFeatures | undefined;
  #cpuid: Uint8Array | undefined;

  constructor(kvm: Kvm, vm: number, index: number) {
    this.index = index;
    using undo = new DisposableStack();
    const fd = undo.adopt(ioctl(vm, KVM_CREATE_VCPU, index), close);
    this.handle = { accel: "kvm", index, fd, runSize: kvm.runSize };
    unblockKickInRun(fd);
    this.#address = mmap({ length: kvm.runSize, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
    this.run = new DataView(memoryView(this.#address, kvm.runSize));
    this.#immediateExit = new Uint8Array(this.run.buffer, RUN.IMMEDIATE_EXIT, 1);
    undo.move();
  }

  /** Sets what belongs to the state; the same for all vCPUs, found out on the first. */
  setFeatures(features: VcpuFeatures): void {
    this.#features = features;
  }

  /** Sets the CPUID. KVM wants it before the first run and before all state that depends on it. */
  setCpuid(cpuid: Uint8Array): void {
    ioctl(this.handle.fd, KVM_SET_CPUID2, cpuid);
    this.#cpuid = cpuid;
  }

  /**
   * What the guest was told of its processor does not change under it, whatever this version would tell a new one. Where it
   * is set already, as after a rehearsal, the kernel is not asked.
   */
  setSavedCpuid(records: ReadonlyMap<string, SavedRecord>): void {
    const saved = this.#savedCpuid(records);
    if (!this.#hasCpuid(saved)) this.setCpuid(saved);
  }

  #savedCpuid(records: ReadonlyMap<string, SavedRecord>): Uint8Array {
    return savedList(records, this.name, CPUID, CPUID_LIST);
  }

  #hasCpuid(cpuid: Uint8Array): boolean {
    return this.#cpuid !== undefined && Buffer.compare(this.#cpuid, cpuid) === 0;
  }

  cpuidRecord(): SavedRecord {
    return opaqueRecord(this.name, CPUID, this.cpuid);
  }

  /** Forgets a kick that nobody has taken: whoever runs the vCPU next is to run it. */
  forgetKick(): void {
    Atomics.store(this.#immediateExit, 0, 0);
  }

  interrupt(tid: number): void {
    Atomics.store(this.#immediateExit, 0, 1);
    if (tid !== 0) tgkill(getpid(), tid, KICK_SIGNAL);
  }

  interruptCalls(tid: BatchArgument): BatchCall[] {
    return [
      // a byte of the first word
      setBitCall(this.#address, 8 * RUN.IMMEDIATE_EXIT),
      { number: SYS.tgkill, args: [getpid(), tid, KICK_SIGNAL] },
    ];
  }

  /** What is to be read of it, and the records that it makes then. */
  reads() {
    const { reads, records } = vcpuReads(this.name, this.features);
    return { fd: this.handle.fd, reads, records: () => [this.cpuidRecord(), ...records()] };
  }

  preview(): SavedRecord[] {
    return [this.cpuidRecord(), ...vcpuReads(this.name, this.features).preview()];
  }

  restore(records: ReadonlyMap<string, SavedRecord>, time: RestoreTime): void {
    loadVcpu(this.handle.fd, this.name, this.features, records, time);
  }

  /** A processor as the guest knows it: told the same of itself, with a TSC of the same rate. */
  configureAsSaved(records: ReadonlyMap<string, SavedRecord>): void {
    this.setSavedCpuid(records);
    setTscKhz(this.handle.fd, savedTscKhz(records, this.name));
  }

  /** Whether `configureAsSaved`, and setting the features after it, would change nothing. It does not ask the kernel. */
  isAsSaved(records: ReadonlyMap<string, SavedRecord>): boolean {
    if (!this.#features || !this.#hasCpuid(this.#savedCpuid(records))) return false;
    const { msrs, tsc } = this.#features;
    return savedTscKhz(records, this.name) === tsc.khz && hasIndices(savedMsrs(records, this.name), msrs);
  }

  /** A processor like another VM's. */
  configureLike({ cpuid, features }: KvmVcpu): void {
    this.setCpuid(cpuid);
    setTscKhz(this.handle.fd, features.tsc.khz);
  }

  /** 32-bit protected mode with flat segments, on top of the power-on state; see `VcpuEntry`. */
  enter(entry: VcpuEntry): void {
    const sregs = KvmSregs2.alloc();
    ioctl(this.handle.fd, KVM_GET_SREGS2, sregs);
    const flat = { base: 0n, limit: 0xffffffff, present: 1, dpl: 0, db: 1, s: 1, l: 0, g: 1, unusable: 0 };
    Object.assign(sregs.cs, flat, { selector: 0x08, type: 11 });
    for (const name of ["ds", "es", "fs", "gs", "ss"] as const) {
      Object.assign(sregs[name], flat, { selector: 0x10, type: 3 });
    }
    sregs.cr0 = CR0_PROTECTED;
    ioctl(this.handle.fd, KVM_SET_SREGS2, sregs);
    const regs = KvmRegs.of({
      rip: BigInt(entry.eip),
      rflags: 2n,
      rbx: BigInt(entry.ebx ?? 0),
      rsi: BigInt(entry.esi ?? 0),
      rsp: BigInt(entry.esp ?? 0),
    });
    ioctl(this.handle.fd, KVM_SET_REGS, regs);
  }

  describeRegisters(): string {
    return describeRegisters(this.handle.fd);
  }

  close(): void {
    munmap(this.#address, this.handle.runSize);
    close(this.handle.fd);
  }

  /** The vCPU's name in saved state. */
  get name(): string {
    return `cpu${this.index}`;
  }

  get cpuid(): Uint8Array {
    if (!this.#cpuid) throw new Error("the vCPU has no CPUID yet");
    return this.#cpuid;
  }

  get features(): VcpuFeatures {
    if (!this.#features) throw new Error("vCPU features were not set");
    return this.#features;
  }
}
