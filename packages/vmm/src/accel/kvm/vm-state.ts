/** Saving and loading what belongs to the VM as a whole: the interrupt controllers, the PIT and the clock. */
import type { SavedRecord } from "@vmm/cpr";
import { ioctl } from "@vmm/libc";
import { VmmError } from "../../vmm-error.ts";
import { setKvmIrqLevel } from "./irq-line.ts";
import type { StateRead } from "./state-read.ts";
import { savedBytes, structRecord } from "./state-record.ts";
import {
  KVM_CLOCK_REALTIME,
  KVM_GET_CLOCK,
  KVM_GET_IRQCHIP,
  KVM_GET_PIT2,
  KVM_IRQCHIP_IOAPIC,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_IRQCHIP_PIC_SLAVE,
  KVM_SET_CLOCK,
  KVM_SET_IRQCHIP,
  KVM_SET_PIT2,
  KvmClockData,
  KvmIrqchip,
  KvmPitState2,
} from "./uapi/kvm.ts";

/** The chips and the kinds of their records. */
const CHIPS = [
  { id: KVM_IRQCHIP_IOAPIC, kind: "kvm-ioapic" },
  { id: KVM_IRQCHIP_PIC_MASTER, kind: "kvm-pic-master" },
  { id: KVM_IRQCHIP_PIC_SLAVE, kind: "kvm-pic-slave" },
] as const;

const OWNER = "vm";
const PIT_GSI = 0;

/** What is to be read of the VM, on its fd, and the records that it makes. */
export function vmReads(): { reads: StateRead[]; records(): SavedRecord[] } {
  const chips = CHIPS.map(({ id, kind }) => ({
    kind,
    layout: KvmIrqchip,
    request: KVM_GET_IRQCHIP,
    buffer: KvmIrqchip.of({ chip_id: id }).$bytes,
  }));
  const pit = {
    kind: "kvm-pit2",
    layout: KvmPitState2,
    request: KVM_GET_PIT2,
    buffer: KvmPitState2.alloc().$bytes,
  };
  const clock = {
    kind: "kvm-clock",
    layout: KvmClockData,
    request: KVM_GET_CLOCK,
    buffer: KvmClockData.alloc().$bytes,
  };
  const records = [
    ...chips.map(({ kind, layout, buffer }) => structRecord(OWNER, kind, layout, buffer)),
    structRecord(OWNER, pit.kind, pit.layout, pit.buffer),
    structRecord(OWNER, clock.kind, clock.layout, clock.buffer),
  ];
  return { reads: [...chips, pit, clock], records: () => records };
}

function savedChip(
  records: ReadonlyMap<string, SavedRecord>,
  { id, kind }: (typeof CHIPS)[number],
): Uint8Array {
  const bytes = savedBytes(records, OWNER, kind, KvmIrqchip.size);
  if (KvmIrqchip.at(bytes.buffer).chip_id === id) return bytes;
  throw new VmmError("state", `record "${OWNER}/${kind}" has the state of another chip`);
}

/**
 * The interrupt controllers and the PIT. After the LAPICs: the IOAPIC injects again what it holds pending.
 *
 * The PIT's line goes up and down at each tick, by a kernel thread that the vCPU which it wakes may hold up in between.
 * Saved then, the chips would see no edge at the next tick, and KVM's PIT waits for each to be taken before it makes
 * another: there would be none ever again. So the pulse ends here.
 *
 * KVM starts the timer of the PIT's channel 0 anew, and does not tell when it was to end: a one-shot that is over comes
 * once more. That is as in every VMM with KVM's PIT, and better than to take one for over that is not.
 */
export function loadChips(vm: number, records: ReadonlyMap<string, SavedRecord>): void {
  for (const chip of CHIPS) ioctl(vm, KVM_SET_IRQCHIP, savedChip(records, chip));
  setKvmIrqLevel(vm, PIT_GSI, 0);
  ioctl(vm, KVM_SET_PIT2, savedBytes(records, OWNER, "kvm-pit2", KvmPitState2.size));
}

/**
 * The clock behind kvmclock, moved on by the time that passed since it was saved: by the kernel itself where it gave a
 * wall clock with it, else by what we measured.
 *
 * @param elapsedNs ns since the state was saved.
 */
export function loadClock(vm: number, records: ReadonlyMap<string, SavedRecord>, elapsedNs: number): void {
  const bytes = savedBytes(records, OWNER, "kvm-clock", KvmClockData.size);
  const saved = KvmClockData.at(bytes.buffer);
  const next = KvmClockData.alloc();
  if (saved.flags & KVM_CLOCK_REALTIME) {
    next.clock = saved.clock;
    next.realtime = saved.realtime;
    next.flags = KVM_CLOCK_REALTIME;
  } else {
    next.clock = saved.clock + BigInt(Math.max(0, Math.round(elapsedNs)));
  }
  ioctl(vm, KVM_SET_CLOCK, next);
}
