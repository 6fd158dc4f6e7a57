/** A virtual machine of KVM: in-kernel interrupt chips and PIT, memory slots, vCPUs, irqfds and routing. */
import type { FdTable, SavedRecord } from "@vmm/cpr";
import { close, ioctl, ioctlRaw, SYS, SyscallBatch, SyscallError } from "@vmm/libc";
import type { VcpuEntry } from "../../boot/boot.ts";
import type { MemorySlot } from "../../memory/guest-memory.ts";
import { VmmError } from "../../vmm-error.ts";
import type {
  AccelVm,
  AdoptedVcpus,
  ExitTargets,
  GsiRoute,
  IoeventfdTarget,
  RestoreTime,
  StateProblem,
  VcpuBridge,
  WaitingVcpuRunners,
} from "../accelerator.ts";
import { AdoptedAgents } from "./agent/adopt-agents.ts";
import { type AgentInfo, readAgentRecord } from "./agent/agent-info.ts";
import { startAgents } from "./agent/start-agents.ts";
import { cpuidFor, supportedCpuid } from "./cpuid.ts";
import { setIoeventfd } from "./ioeventfd.ts";
import { setKvmIrqLevel } from "./irq-line.ts";
import { defaultRoutes, setRouting } from "./irq-routing.ts";
import { Irqfds } from "./irqfd.ts";
import { requireHandedOver, requireKnown, requireVcpus, unknownRecords } from "./known-records.ts";
import { inspectKvm, type Kvm, kvmExtension } from "./kvm.ts";
import { KvmBridge } from "./kvm-bridge.ts";
import { takeCreation } from "./kvm-creation.ts";
import { KvmVcpu } from "./kvm-vcpu.ts";
import { msrIndexList, msrIndices, readableMsrs } from "./msrs.ts";
import { readsHere } from "./state-read.ts";
import { tscFeatures } from "./tsc.ts";
import {
  KVM_CAP_NESTED_STATE,
  KVM_CAP_XCRS,
  KVM_CAP_XSAVE2,
  KVM_KVMCLOCK_CTRL,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SIGNAL_MSI,
  KvmMsi,
  KvmUserspaceMemoryRegion,
} from "./uapi/kvm.ts";
import {
  isNestedState,
  loadFinishedAccess,
  nestedStateOf,
  savedMsrs,
  type VcpuExtensions,
} from "./vcpu-state.ts";
import { loadChips, loadClock, vmReads } from "./vm-state.ts";

/** The clocks of a reset: the power-on state is loaded as it was. */
const AT_ONCE: RestoreTime = { elapsedNs: 0, sameBoot: true };

/** How often saving a vCPU is gone through before it counts: the just-in-time compiler takes notice of what comes that often. */
const REHEARSALS = 40;

/** The XSAVE area that KVM_GET_XSAVE knows, in bytes. */
const XSAVE_BASIC = 4096;

export class KvmVm implements AccelVm {
  readonly name = "kvm";
  readonly vcpus: readonly KvmVcpu[];
  /** The VM's fd, to which other threads may send their own requests. */
  readonly fd: number;
  #kvm: Kvm;
  #irqfds: Irqfds;
  #slots: SyscallBatch | undefined;
  #powerOn: ReadonlyMap<string, SavedRecord> | undefined;
  #configured = false;
  #extensions: VcpuExtensions | undefined;
  #known: ReadonlySet<string> | undefined;
  /** The next `save`, laid out ahead. */
  #preparedSave: (() => SavedRecord[]) | undefined;

  /** @throws VmmError `accel` where the host has no KVM, or not enough vCPUs. */
  constructor(cpus: number) {
    using undo = new DisposableStack();
    const { kvm, vm } = takeCreation().finish();
    undo.defer(() => close(kvm));
    undo.defer(() => close(vm));
    this.fd = vm;
    this.#kvm = inspectKvm(kvm);
    if (cpus > this.#kvm.maxVcpus) {
      throw new VmmError(
        "accel",
        `${cpus} vCPUs are more than the ${this.#kvm.maxVcpus} that this host's KVM allows`,
      );
    }
    this.#irqfds = new Irqfds(this.fd);
    this.vcpus = Array.from({ length: cpus }, (_, i) =>
      undo.adopt(new KvmVcpu(this.#kvm, this.fd, i), (vcpu) => vcpu.close()),
    );
    undo.move();
  }

  setMemorySlots(slots: readonly MemorySlot[]): void {
    // each waits for a grace period
    this.#slots = new SyscallBatch(
      slots.map((slot) => ({
        number: SYS.ioctl,
        args: [this.fd, KVM_SET_USER_MEMORY_REGION.number, memoryRegion(slot).$bytes],
      })),
    );
  }

  setMemorySlot(slot: MemorySlot): void {
    ioctl(this.fd, KVM_SET_USER_MEMORY_REGION, memoryRegion(slot));
  }

  /** Waits for `setMemorySlots`. */
  #awaitSlots(): void {
    const failed = this.#slots?.join().find((result) => result < 0);
    this.#slots = undefined;
    if (failed !== undefined)
      throw new SyscallError("ioctl", -failed, `KVM_SET_USER_MEMORY_REGION on fd ${this.fd}`);
  }

  setIrqLevel(gsi: number, level: number): void {
    setKvmIrqLevel(this.fd, gsi, level);
  }

  setRouting(routes: readonly GsiRoute[]): void {
    setRouting(this.fd, [...defaultRoutes(), ...routes]);
  }

  signalMsi(address: bigint, data: number): void {
    const msi = KvmMsi.of({
      address_lo: Number(address & 0xffffffffn),
      address_hi: Number(address >> 32n),
      data,
    });
    ioctl(this.fd, KVM_SIGNAL_MSI, msi);
  }

  assignIrqfd(fd: number, gsi: number, resampleFd?: number): void {
    this.#irqfds.assign(fd, gsi, resampleFd);
  }

  deassignIrqfd(fd: number, gsi: number): void {
    this.#irqfds.deassign(fd, gsi);
  }

  detachIrqfds(): () => void {
    return this.#irqfds.detach();
  }

  assignIoeventfd(target: IoeventfdTarget): void {
    setIoeventfd(this.fd, target, true);
  }

  deassignIoeventfd(target: IoeventfdTarget): void {
    setIoeventfd(this.fd, target, false);
  }

  save(): SavedRecord[] {
    if (!this.#configured) this.#configureNew();
    const save = this.#preparedSave ?? this.#laidOutSave();
    this.#preparedSave = undefined;
    return save();
  }

  prepareSave(): void {
    withFreshVm(this.vcpus, (fresh) => {
      for (let i = 0; i < REHEARSALS; i += this.vcpus.length) fresh.save();
    });
    this.#preparedSave = this.#laidOutSave();
  }

  /** Saves once: the records are the very buffers that are read into. */
  #laidOutSave(): () => SavedRecord[] {
    const vcpus = this.vcpus.map((vcpu) => vcpu.reads());
    const vm = vmReads();
    const read = readsHere(...vcpus, { fd: this.fd, reads: vm.reads });
    return () => {
      read();
      return [...vcpus.flatMap(({ records }) => records()), ...vm.records()];
    };
  }

  preview(): SavedRecord[] {
    return [...this.vcpus.flatMap((vcpu) => vcpu.preview()), ...vmReads().records()];
  }

  restore(records: ReadonlyMap<string, SavedRecord>, time: RestoreTime): void {
    // the guest's kvmclock page and the like are looked up as its MSRs are loaded
    this.#awaitSlots();
    this.#configureAsSaved(records);
    requireKnown(records, this.#knownRecords());
    this.#load(records, time);
    loadClock(this.fd, records, time.elapsedNs);
  }

  #load(records: ReadonlyMap<string, SavedRecord>, time: RestoreTime): void {
    for (const vcpu of this.vcpus) vcpu.restore(records, time);
    loadChips(this.fd, records);
  }

  prepareRunOn(fds: FdTable, limitMs: number): WaitingVcpuRunners {
    return startAgents({ vm: this.fd, vcpus: this.vcpus, fds, limitMs });
  }

  adopt(records: ReadonlyMap<string, SavedRecord>, fds: FdTable): AdoptedVcpus | undefined {
    const info = readAgentRecord(records);
    if (!info) return undefined;
    requireHandedOver(
      records,
      info.vcpus.length,
      this.vcpus.map(({ name }) => name),
    );
    this.#awaitSlots();
    this.#configured = true;
    for (const vcpu of this.vcpus) {
      vcpu.setSavedCpuid(records);
      vcpu.setFeatures((info.vcpus[vcpu.index] as AgentInfo["vcpus"][number]).features);
    }
    const target = {
      runSize: this.#kvm.runSize,
      vmFd: this.fd,
      vcpuFd: (index: number) => (this.vcpus[index] as KvmVcpu).handle.fd,
      loadVcpu: (index: number, state: ReadonlyMap<string, SavedRecord>, elapsedNs: number) =>
        (this.vcpus[index] as KvmVcpu).restore(state, { elapsedNs, sameBoot: true }),
      loadVm: (state: ReadonlyMap<string, SavedRecord>, elapsedNs: number) => {
        loadChips(this.fd, state);
        loadClock(this.fd, state, elapsedNs);
      },
      loadFinished: (index: number, state: ReadonlyMap<string, SavedRecord>) => {
        const vcpu = this.vcpus[index] as KvmVcpu;
        loadFinishedAccess(vcpu.handle.fd, vcpu.name, state);
      },
    };
    const fixed = this.vcpus.map((vcpu) => vcpu.cpuidRecord());
    return new AdoptedAgents(info, fds, target, fixed);
  }

  check(records: ReadonlyMap<string, SavedRecord>): StateProblem[] {
    try {
      this.#configureAsSaved(records);
    } catch (error) {
      return [{ what: "vCPU", reason: error instanceof Error ? error.message : String(error) }];
    }
    const missing = this.preview()
      .filter(({ name }) => !isNestedState(name))
      .flatMap(({ name, data }) => compareSize(name, data.length, records.get(name)));
    const unknown = unknownRecords(records, this.#knownRecords());
    return [...missing, ...unknown.map((what) => ({ what, reason: "is not part of a VM of this shape" }))];
  }

  reset(entry: VcpuEntry): void {
    if (this.#powerOn) this.#load(this.#powerOn, AT_ONCE);
    else if (this.#configured) {
      // this VM came with state: one that has just been made knows what power-on looks like
      this.#powerOn = withFreshVm(this.vcpus, (fresh) => byName(fresh.save()));
      this.#load(this.#powerOn, AT_ONCE);
    } else {
      this.#powerOn = byName(this.save());
    }
    this.vcpus[0]?.enter(entry);
  }

  tellOfPause(): void {
    // refused where the guest has no kvmclock: then there is no way to tell it
    for (const { handle } of this.vcpus) ioctlRaw(handle.fd, KVM_KVMCLOCK_CTRL.number, 0);
  }

  bridge(targets: ExitTargets): VcpuBridge {
    this.#awaitSlots();
    return new KvmBridge(this.vcpus, targets);
  }

  close(): void {
    for (const vcpu of this.vcpus) vcpu.close();
    close(this.fd);
    close(this.#kvm.fd);
  }

  /** Names of all that `restore` may be given. They depend on the host and the number of vCPUs alone. */
  #knownRecords(): ReadonlySet<string> {
    this.#known ??= new Set([
      ...this.preview().map(({ name }) => name),
      ...this.vcpus.map(({ name }) => nestedStateOf(name)),
    ]);
    return this.#known;
  }

  /** The processors as the guest knows them, for one that is taken over. */
  #configureAsSaved(records: ReadonlyMap<string, SavedRecord>): void {
    requireVcpus(records, this.vcpus.length);
    // as after a rehearsal: the guest stands still, and the kernel need not be asked again
    if (this.vcpus.every((vcpu) => vcpu.isAsSaved(records))) return;
    for (const vcpu of this.vcpus) vcpu.configureAsSaved(records);
    this.#configure((vcpu) => msrIndices(savedMsrs(records, vcpu.name)));
  }

  /** What a processor of this host can do, for a guest that boots. */
  #configureNew(): void {
    const cpuid = supportedCpuid(this.#kvm.fd);
    for (const vcpu of this.vcpus) vcpu.setCpuid(cpuidFor(cpuid, vcpu.index, this.vcpus.length));
    // the same for all: each that cannot be read costs a call, and there are many
    const [first] = this.vcpus;
    const msrs = first ? readableMsrs(first.handle.fd, msrIndexList(this.#kvm.fd)) : [];
    this.#configure(() => msrs);
  }

  /** Processors like those of another VM. */
  configureLike(vcpus: readonly KvmVcpu[]): void {
    this.vcpus.forEach((vcpu, i) => {
      const model = vcpus[i];
      if (model) vcpu.configureLike(model);
    });
    this.#configure((vcpu) => vcpus[vcpu.index]?.features.msrs ?? []);
  }

  /**
   * After the CPUID and the TSC's rate were set.
   *
   * @param msrs Gives the MSRs that are part of a vCPU's state.
   */
  #configure(msrs: (vcpu: KvmVcpu) => readonly number[]): void {
    this.#configured = true;
    this.#preparedSave = undefined;
    this.#extensions ??= this.#askExtensions();
    for (const vcpu of this.vcpus) {
      vcpu.setFeatures({ ...this.#extensions, msrs: msrs(vcpu), tsc: tscFeatures(vcpu.handle.fd) });
    }
  }

  #askExtensions(): VcpuExtensions {
    const xsave2 = kvmExtension(this.fd, KVM_CAP_XSAVE2);
    return {
      xsaveSize: Math.max(xsave2, XSAVE_BASIC),
      xsave2: xsave2 > 0,
      nestedSize: kvmExtension(this.#kvm.fd, KVM_CAP_NESTED_STATE),
      xcrs: kvmExtension(this.#kvm.fd, KVM_CAP_XCRS) > 0,
    };
  }
}

const byName = (records: readonly SavedRecord[]) => new Map(records.map((record) => [record.name, record]));

/** Uses a new VM with processors like these. */
function withFreshVm<T>(vcpus: readonly KvmVcpu[], use: (vm: KvmVm) => T): T {
  const fresh = new KvmVm(vcpus.length);
  try {
    fresh.configureLike(vcpus);
    return use(fresh);
  } finally {
    fresh.close();
  }
}

function compareSize(what: string, size: number, saved: SavedRecord | undefined): StateProblem[] {
  if (!saved) return [{ what, reason: "is missing from the state" }];
  if (saved.data.length === size) return [];
  return [{ what, reason: `has ${saved.data.length} bytes, and this version on this host has ${size}` }];
}

function memoryRegion(slot: MemorySlot) {
  return KvmUserspaceMemoryRegion.of({
    slot: slot.slot,
    guest_phys_addr: BigInt(slot.gpa),
    memory_size: BigInt(slot.size),
    userspace_addr: BigInt(slot.address),
  });
}
