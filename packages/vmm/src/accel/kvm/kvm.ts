/** The KVM accelerator: /dev/kvm and what this host's KVM can do. */
import { close, E, errnoName, ioctl, ioctlRaw, O_CLOEXEC, O_RDWR, open, SyscallError } from "@vmm/libc";
import { VmmError } from "../../vmm-error.ts";
import {
  KVM_API_VERSION,
  KVM_CAP_IMMEDIATE_EXIT,
  KVM_CAP_IOEVENTFD,
  KVM_CAP_IRQCHIP,
  KVM_CAP_IRQFD,
  KVM_CAP_MAX_VCPUS,
  KVM_CAP_PIT2,
  KVM_CAP_SIGNAL_MSI,
  KVM_CAP_SREGS2,
  KVM_CAP_USER_MEMORY,
  KVM_CHECK_EXTENSION,
  KVM_GET_API_VERSION,
  KVM_GET_VCPU_MMAP_SIZE,
} from "./uapi/kvm.ts";

const DEVICE = "/dev/kvm";

/** What we cannot do without, by name for the message. */
const REQUIRED: readonly (readonly [string, number])[] = [
  ["KVM_CAP_IRQCHIP", KVM_CAP_IRQCHIP],
  ["KVM_CAP_USER_MEMORY", KVM_CAP_USER_MEMORY],
  ["KVM_CAP_PIT2", KVM_CAP_PIT2],
  ["KVM_CAP_IRQFD", KVM_CAP_IRQFD],
  ["KVM_CAP_IOEVENTFD", KVM_CAP_IOEVENTFD],
  ["KVM_CAP_SIGNAL_MSI", KVM_CAP_SIGNAL_MSI],
  ["KVM_CAP_IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT],
  ["KVM_CAP_SREGS2 (Linux 5.14)", KVM_CAP_SREGS2],
];

/** The result of KVM_CHECK_EXTENSION: 0 where it lacks, else 1 or a number of the extension's own. */
export const kvmExtension = (fd: number, capability: number): number =>
  Math.max(0, ioctlRaw(fd, KVM_CHECK_EXTENSION.number, capability));

/** An open /dev/kvm. */
export interface Kvm {
  readonly fd: number;
  /** Size of a vCPU's run structure in bytes. */
  readonly runSize: number;
  readonly maxVcpus: number;
}

/** Why /dev/kvm did not open, in one line that says how to mend it. */
export function openError(errno: number): VmmError {
  switch (errno) {
    case E.EACCES:
    case E.EPERM:
      return new VmmError(
        "accel",
        `${DEVICE}: permission denied; add your user to the group that owns it (kvm) and log in again`,
      );
    case E.ENOENT:
    case E.ENODEV:
    case E.ENXIO:
      return new VmmError(
        "accel",
        `${DEVICE} is missing; load the module (modprobe kvm_intel or kvm_amd) and enable virtualization in the firmware or in the outer VM`,
      );
    default:
      return new VmmError("accel", `${DEVICE} cannot be opened: ${errnoName(errno)}`);
  }
}

/**
 * Checks that KVM has what we need.
 *
 * @param fd An open /dev/kvm, which stays the caller's.
 * @throws VmmError `accel` in one line that says how to mend it.
 */
export function inspectKvm(fd: number): Kvm {
  const version = ioctl(fd, KVM_GET_API_VERSION);
  if (version !== KVM_API_VERSION)
    throw new VmmError("accel", `${DEVICE}: API version ${version}, expected 12`);
  const missing = REQUIRED.filter(([, capability]) => kvmExtension(fd, capability) === 0).map(
    ([name]) => name,
  );
  if (missing.length > 0) {
    throw new VmmError(
      "accel",
      `${DEVICE}: this kernel's KVM lacks ${missing.join(", ")}; use a newer kernel`,
    );
  }
  return {
    fd,
    runSize: ioctl(fd, KVM_GET_VCPU_MMAP_SIZE),
    maxVcpus: kvmExtension(fd, KVM_CAP_MAX_VCPUS),
  };
}

/** Opens /dev/kvm and checks it. @throws VmmError `accel` */
export function openKvm(): Kvm {
  const fd = openDevice();
  try {
    return inspectKvm(fd);
  } catch (error) {
    close(fd);
    throw error;
  }
}

function openDevice(): number {
  try {
    return open(DEVICE, O_RDWR | O_CLOEXEC);
  } catch (error) {
    throw error instanceof SyscallError ? openError(error.errno) : error;
  }
}
