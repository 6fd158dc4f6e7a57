/**
 * irqfds: eventfds that raise a GSI without a trip through user space. KVM lets an eventfd serve one VM at a time, so
 * before a live update all are deassigned, and the LAPICs are saved only after that.
 */
import { ioctl } from "@vmm/libc";
import { KVM_IRQFD, KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQFD_FLAG_RESAMPLE, KvmIrqfd } from "./uapi/kvm.ts";

interface Assigned {
  readonly fd: number;
  readonly gsi: number;
  readonly resampleFd: number | undefined;
}

export class Irqfds {
  #vm: number;
  #assigned: Assigned[] = [];

  constructor(vm: number) {
    this.#vm = vm;
  }

  /** @param resampleFd An eventfd that KVM signals when the guest ends a level-triggered interrupt. */
  assign(fd: number, gsi: number, resampleFd?: number): void {
    this.#attach({ fd, gsi, resampleFd });
    this.#assigned.push({ fd, gsi, resampleFd });
  }

  deassign(fd: number, gsi: number): void {
    ioctl(this.#vm, KVM_IRQFD, KvmIrqfd.of({ fd, gsi, flags: KVM_IRQFD_FLAG_DEASSIGN }));
    this.#assigned = this.#assigned.filter((a) => a.fd !== fd || a.gsi !== gsi);
  }

  /**
   * Deassigns all, one by one. Where one fails, those already taken off are put back and the error goes on.
   *
   * @returns What assigns again exactly those that were taken off.
   */
  detach(): () => void {
    const off: Assigned[] = [];
    const reattach = () => this.#attachAll(off.splice(0));
    try {
      for (const irqfd of this.#assigned) {
        ioctl(
          this.#vm,
          KVM_IRQFD,
          KvmIrqfd.of({ fd: irqfd.fd, gsi: irqfd.gsi, flags: KVM_IRQFD_FLAG_DEASSIGN }),
        );
        off.push(irqfd);
      }
    } catch (error) {
      reattach();
      throw error;
    }
    return reattach;
  }

  /** Each for itself: one that fails does not keep the others from coming back. The first error goes on. */
  #attachAll(irqfds: readonly Assigned[]): void {
    const errors: unknown[] = [];
    for (const irqfd of irqfds) {
      try {
        this.#attach(irqfd);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  #attach({ fd, gsi, resampleFd }: Assigned): void {
    const flags = resampleFd === undefined ? 0 : KVM_IRQFD_FLAG_RESAMPLE;
    ioctl(this.#vm, KVM_IRQFD, KvmIrqfd.of({ fd, gsi, flags, resamplefd: resampleFd ?? 0 }));
  }
}
