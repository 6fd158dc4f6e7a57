/** A virtual machine of KVM: in-kernel interrupt chips and PIT, memory slots, vCPUs, irqfds and routing. */
import type { SavedRecord } from "@vmm/cpr";
import { close, ioctl, SYS, SyscallBatch, SyscallError } from "@vmm/libc";
import type { VcpuEntry } from "../../boot/boot.ts";
import type { MemorySlot } from "../../memory/guest-memory.ts";
import { VmmError } from "../../vmm-error.ts";
import type {
  AccelVm,
  ExitTargets,
  GsiRoute,
  IoeventfdTarget,
  RestoreTime,
  VcpuBridge,
} from "../accelerator.ts";
import { setIoeventfd } from "./ioeventfd.ts";
import { defaultRoutes, setRouting } from "./irq-routing.ts";
import { Irqfds } from "./irqfd.ts";
import { inspectKvm, type Kvm, kvmExtension } from "./kvm.ts";
import { KvmBridge } from "./kvm-bridge.ts";
import { takeCreation } from "./kvm-creation.ts";
import { KvmVcpu } from "./kvm-vcpu.ts";
import { readableMsrs } from "./msrs.ts";
import {
  KVM_CAP_NESTED_STATE,
  KVM_CAP_XCRS,
  KVM_CAP_XSAVE2,
  KVM_IRQ_LINE,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SIGNAL_MSI,
  KvmIrqLevel,
  KvmMsi,
  KvmUserspaceMemoryRegion,
} from "./uapi/kvm.ts";
import type { VcpuFeatures } from "./vcpu-state.ts";
import { loadChips, loadClock, previewVm, saveVm } from "./vm-state.ts";

/** The clocks of a reset: the power-on state is loaded as it was. */
const AT_ONCE: RestoreTime = { elapsedNs: 0, sameBoot: true };

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
  #powerOn: Map<string, SavedRecord> | undefined;

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
      undo.adopt(new KvmVcpu(this.#kvm, this.fd, i, cpus), (vcpu) => vcpu.close()),
    );
    const features = this.#features();
    for (const vcpu of this.vcpus) vcpu.setFeatures(features);
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
    return [...this.vcpus.flatMap((vcpu) => vcpu.save()), ...saveVm(this.fd)];
  }

  preview(): SavedRecord[] {
    return [...this.vcpus.flatMap((vcpu) => vcpu.preview()), ...previewVm()];
  }

  restore(records: ReadonlyMap<string, SavedRecord>, time: RestoreTime): void {
    // the guest's kvmclock page and the like are looked up as its MSRs are loaded
    this.#awaitSlots();
    for (const vcpu of this.vcpus) vcpu.restore(records, time);
    loadChips(this.fd, records);
    loadClock(this.fd, records, time.elapsedNs);
  }

  /** The power-on state is what KVM gave at creation: it is kept at the first reset and loaded at each later one. */
  reset(entry: VcpuEntry): void {
    if (this.#powerOn === undefined) {
      this.#powerOn = new Map(this.save().map((record) => [record.name, record]));
    } else {
      for (const vcpu of this.vcpus) vcpu.restore(this.#powerOn, AT_ONCE);
      loadChips(this.fd, this.#powerOn);
    }
    this.vcpus[0]?.enter(entry);
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

  #features(): VcpuFeatures {
    const xsave2 = kvmExtension(this.fd, KVM_CAP_XSAVE2);
    const first = this.vcpus[0]?.handle.fd as number;
    return {
      msrs: readableMsrs(first, this.#kvm.msrs),
      xsaveSize: Math.max(xsave2, XSAVE_BASIC),
      xsave2: xsave2 > 0,
      nestedSize: kvmExtension(this.#kvm.fd, KVM_CAP_NESTED_STATE),
      xcrs: kvmExtension(this.#kvm.fd, KVM_CAP_XCRS) > 0,
    };
  }
}

function memoryRegion(slot: MemorySlot) {
  return KvmUserspaceMemoryRegion.of({
    slot: slot.slot,
    guest_phys_addr: BigInt(slot.gpa),
    memory_size: BigInt(slot.size),
    userspace_addr: BigInt(slot.address),
  });
}

const line = KvmIrqLevel.alloc();

/** Drives a GSI of the VM behind `vm`, from any thread. */
export function setKvmIrqLevel(vm: number, gsi: number, level: number): void {
  line.irq = gsi;
  line.level = level;
  ioctl(vm, KVM_IRQ_LINE, line);
}
