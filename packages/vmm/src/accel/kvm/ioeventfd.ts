/** ioeventfds: guest writes that signal an eventfd without a trip through user space, as a doorbell does. */
import { ioctl } from "@vmm/libc";
import type { IoeventfdTarget } from "../accelerator.ts";
import {
  KVM_IOEVENTFD,
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
  KvmIoeventfd,
} from "./uapi/kvm.ts";

export function setIoeventfd(vm: number, target: IoeventfdTarget, on: boolean): void {
  const flags =
    (target.bus === "pio" ? KVM_IOEVENTFD_FLAG_PIO : 0) |
    (target.data === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH) |
    (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN);
  const request = KvmIoeventfd.of({
    datamatch: target.data ?? 0n,
    addr: BigInt(target.address),
    len: target.length,
    fd: target.fd,
    flags,
  });
  ioctl(vm, KVM_IOEVENTFD, request);
}
