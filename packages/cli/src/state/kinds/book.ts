/** What is known about the records of this project beside what they say themselves. */
import type { DescribedField, KnownLayout, RecordReader, StateBook } from "@vmm/cpr/describe";
import { KvmDtable, KvmPitChannelState, KvmSegment, KvmXcr } from "@vmm/vmm/accel/kvm/uapi/kvm.ts";
import { formatDuration, formatWallClock } from "../format/time.ts";
import { readChardev } from "./chardev.ts";
import { readCpuid } from "./cpuid.ts";
import { meaningReader } from "./fields.ts";
import { readIoapic, readPic } from "./irqchip.ts";
import { readLapic } from "./lapic.ts";
import { readMsrs } from "./msrs.ts";
import { readXsave } from "./xsave.ts";

/** `KVM_MP_STATE_*` of `linux/kvm.h`. */
const MP_STATES = ["runnable", "uninitialized", "init received", "halted", "SIPI received"];

const asText = (field: DescribedField): DescribedField =>
  field.value.type === "bytes" ? { ...field, value: { type: "text", bytes: field.value.bytes } } : field;

const duration = (ns: bigint) => (ns === 0n ? undefined : formatDuration(Number(ns)));

const readers: Readonly<Record<string, RecordReader>> = {
  chardev: readChardev,
  "vm-clock": meaningReader({
    base: (ns) => `${formatDuration(Number(ns))} after host boot`,
  }),
  "device-timer": meaningReader({ deadline: (ns) => (ns === 0n ? "not armed" : formatDuration(Number(ns))) }),
  "kvm-clock": meaningReader({
    clock: duration,
    realtime: (ns) => (ns === 0n ? undefined : formatWallClock(Number(ns))),
  }),
  // JSON
  "kvm-agents": (_record, fields) => fields.map(asText),
  "kvm-cpuid": readCpuid,
  "kvm-ioapic": readIoapic,
  "kvm-lapic": readLapic,
  "kvm-mp-state": meaningReader({ mp_state: (value) => MP_STATES[Number(value)] }),
  "kvm-msrs": readMsrs,
  "kvm-pic-master": readPic,
  "kvm-pic-slave": readPic,
  "kvm-tsc": meaningReader({ khz: (khz) => `${(Number(khz) / 1e6).toFixed(3)} GHz` }),
  "kvm-xsave": readXsave,
};

const layouts: readonly (KnownLayout & { readonly name: string })[] = [
  KvmSegment,
  KvmDtable,
  KvmXcr,
  KvmPitChannelState,
];

export const STATE_BOOK: StateBook = {
  layouts: new Map(layouts.map((layout) => [layout.name, layout])),
  readers: new Map(Object.entries(readers)),
};
