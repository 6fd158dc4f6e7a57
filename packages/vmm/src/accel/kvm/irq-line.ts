/** Interrupt lines of KVM's interrupt controllers, by their GSIs. */
import { ioctl } from "@vmm/libc";
import { KVM_IRQ_LINE, KvmIrqLevel } from "./uapi/kvm.ts";

const line = KvmIrqLevel.alloc();

/** Drives a GSI of the VM behind `vm`, from any thread. */
export function setKvmIrqLevel(vm: number, gsi: number, level: number): void {
  line.irq = gsi;
  line.level = level;
  ioctl(vm, KVM_IRQ_LINE, line);
}
