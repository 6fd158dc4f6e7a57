/**
 * Making a VM with its interrupt chips. The kernel sleeps through several grace periods for that, 2 ms and more, so it is
 * done on a thread of its own: a VMM process starts it with its first instruction, and by the time the rest of the program
 * is loaded the VM is there.
 */
import { close, O_CLOEXEC, O_RDWR, SYS, SyscallBatch, SyscallError } from "@vmm/libc";
import { defaultRoutes, routingTable } from "./irq-routing.ts";
import { openError } from "./kvm.ts";
import {
  KVM_CREATE_IRQCHIP,
  KVM_CREATE_PIT2,
  KVM_CREATE_VM,
  KVM_PIT_SPEAKER_DUMMY,
  KVM_SET_GSI_ROUTING,
  KVM_SET_IDENTITY_MAP_ADDR,
  KVM_SET_TSS_ADDR,
  KvmPitConfig,
} from "./uapi/kvm.ts";

/** Three pages for KVM's own use on Intel, and one more, just below the firmware's place at the end of 4 GiB. */
const IDENTITY_MAP = 0xfffbc000;
const TSS = 0xfffbd000;

const KVM = 0;
const VM = 1;

function requests() {
  return [
    [KVM_CREATE_VM, 0],
    [KVM_SET_IDENTITY_MAP_ADDR, new BigUint64Array(new BigUint64Array([BigInt(IDENTITY_MAP)]).buffer)],
    [KVM_SET_TSS_ADDR, TSS],
    [KVM_CREATE_IRQCHIP, 0],
    [KVM_CREATE_PIT2, KvmPitConfig.of({ flags: KVM_PIT_SPEAKER_DUMMY }).$bytes],
    // KVM's own table has the PIT at IOAPIC pin 0
    [KVM_SET_GSI_ROUTING, routingTable(defaultRoutes()).$bytes],
  ] as const;
}

export class KvmCreation {
  #requests = requests();
  #batch: SyscallBatch;

  /** Starts. */
  constructor() {
    const path = new TextEncoder().encode("/dev/kvm\0");
    this.#batch = new SyscallBatch([
      { number: SYS.open, args: [path, O_RDWR | O_CLOEXEC, 0] },
      ...this.#requests.map(([request, argument], i) => ({
        number: SYS.ioctl,
        args: [{ resultOf: i === 0 ? KVM : VM }, request.number, argument],
      })),
    ]);
  }

  /**
   * Waits for the end.
   *
   * @throws VmmError `accel` where /dev/kvm does not open, SyscallError where a request fails.
   */
  finish(): { kvm: number; vm: number } {
    const results = this.#batch.join();
    const failed = results.findIndex((result) => result < 0);
    const [kvm, vm] = results as [number, number];
    if (failed === -1) return { kvm, vm };
    const errno = -(results[failed] as number);
    if (failed === KVM) throw openError(errno);
    if (vm >= 0) close(vm);
    close(kvm);
    const request = this.#requests[failed - 1]?.[0].name ?? "";
    throw new SyscallError("ioctl", errno, `${request} of a new VM`);
  }
}

let ahead: KvmCreation | undefined;

/** Starts to make a VM now that will be asked for later. Whatever goes wrong is told then. */
export function createVmAhead(): void {
  ahead ??= new KvmCreation();
}

/** The VM that was started ahead, or one that is started now. */
export function takeCreation(): KvmCreation {
  const creation = ahead ?? new KvmCreation();
  ahead = undefined;
  return creation;
}
