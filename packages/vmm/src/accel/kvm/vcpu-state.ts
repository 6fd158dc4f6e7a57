/**
 * Saving and loading a vCPU. The order is that of the kernel's dependencies; the reasons are beside each step.
 * The vCPU is paused and no exit is half done: see `kvm-runner.ts`.
 */
import type { SavedRecord } from "@vmm/cpr";
import { type Fields, type IoctlRequest, ioctl, type Layout } from "@vmm/libc";
import { VmmError } from "../../vmm-error.ts";
import type { RestoreTime } from "../accelerator.ts";
import { chunksOf, joinBlocks, MSR_LIST, msrBlock, msrIndices, writeMsrs } from "./msrs.ts";
import type { StateRead, StateWrite } from "./state-read.ts";
import { opaqueRecord, savedBytes, savedList, structRecord } from "./state-record.ts";
import { restoreTsc, TSC, type TscFeatures, tscReads } from "./tsc.ts";
import {
  KVM_GET_DEBUGREGS,
  KVM_GET_LAPIC,
  KVM_GET_MP_STATE,
  KVM_GET_MSRS,
  KVM_GET_NESTED_STATE,
  KVM_GET_REGS,
  KVM_GET_SREGS2,
  KVM_GET_VCPU_EVENTS,
  KVM_GET_XCRS,
  KVM_GET_XSAVE,
  KVM_GET_XSAVE2,
  KVM_SET_DEBUGREGS,
  KVM_SET_DEVICE_ATTR,
  KVM_SET_LAPIC,
  KVM_SET_MP_STATE,
  KVM_SET_MSRS,
  KVM_SET_NESTED_STATE,
  KVM_SET_REGS,
  KVM_SET_SREGS2,
  KVM_SET_VCPU_EVENTS,
  KVM_SET_XCRS,
  KVM_SET_XSAVE,
  KvmDebugregs,
  KvmLapicState,
  KvmMpState,
  KvmNestedState,
  KvmRegs,
  KvmSregs2,
  KvmVcpuEvents,
  KvmXcrs,
} from "./uapi/kvm.ts";

/** What the host's KVM gives each vCPU. */
export interface VcpuExtensions {
  /** Size of the extended state in bytes. */
  readonly xsaveSize: number;
  /** Whether KVM_GET_XSAVE2 is to be used. */
  readonly xsave2: boolean;
  /** Largest nested state in bytes, 0 without nested virtualization. */
  readonly nestedSize: number;
  /** Whether XCR0 exists. */
  readonly xcrs: boolean;
}

/** What there is of a vCPU. */
export interface VcpuFeatures extends VcpuExtensions {
  /** MSRs that are part of the state. */
  readonly msrs: readonly number[];
  readonly tsc: TscFeatures;
}

interface Part {
  readonly kind: string;
  readonly layout: Layout<Fields>;
  readonly get: IoctlRequest;
  readonly set: IoctlRequest;
}

// biome-ignore lint/suspicious/noExplicitAny: the parts have different layouts
const part = (kind: string, layout: Layout<any>, get: IoctlRequest, set: IoctlRequest): Part => ({
  kind,
  layout,
  get,
  set,
});

/** Kinds of records that are no structure of a fixed size. */
const NESTED = "kvm-nested-state";
const XSAVE = "kvm-xsave";
const MSRS = "kvm-msrs";

/** Whether a record may be missing, and of any length: hosts differ in whether they have it, and guests in whether they use it. */
export const isNestedState = (name: string): boolean => name.endsWith(`/${NESTED}`);
export const nestedStateOf = (owner: string): string => `${owner}/${NESTED}`;

const MP_STATE = part("kvm-mp-state", KvmMpState, KVM_GET_MP_STATE, KVM_SET_MP_STATE);
const REGS = part("kvm-regs", KvmRegs, KVM_GET_REGS, KVM_SET_REGS);
const SREGS = part("kvm-sregs2", KvmSregs2, KVM_GET_SREGS2, KVM_SET_SREGS2);
const XCRS = part("kvm-xcrs", KvmXcrs, KVM_GET_XCRS, KVM_SET_XCRS);
const DEBUGREGS = part("kvm-debugregs", KvmDebugregs, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS);
const LAPIC = part("kvm-lapic", KvmLapicState, KVM_GET_LAPIC, KVM_SET_LAPIC);
const EVENTS = part("kvm-vcpu-events", KvmVcpuEvents, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS);

function loadPart(fd: number, owner: string, records: ReadonlyMap<string, SavedRecord>, p: Part): void {
  ioctl(fd, p.set, savedBytes(records, owner, p.kind, p.layout.size));
}

/** A read of a part of what makes a record. */
interface PartRead extends StateRead {
  readonly kind: string;
}

/** A read with the record that it fills. */
interface RecordRead extends PartRead {
  record(): SavedRecord;
  /** The record before it was read, where that does not look as it mostly does afterwards. */
  blank?(): SavedRecord;
}

function readPart(owner: string, { kind, layout, get }: Part): RecordRead {
  const buffer = layout.alloc().$bytes;
  const record = structRecord(owner, kind, layout, buffer);
  return { kind, request: get, buffer, record: () => record };
}

function readXsave(owner: string, features: VcpuFeatures): RecordRead {
  const buffer = new Uint8Array(new ArrayBuffer(features.xsaveSize));
  const request = features.xsave2 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;
  const record = opaqueRecord(owner, XSAVE, buffer);
  return { kind: XSAVE, request, buffer, record: () => record };
}

/** As many reads as KVM wants it to be. The first makes the record, of all of them. */
function readMsrs(owner: string, features: VcpuFeatures): (RecordRead | PartRead)[] {
  const buffers = chunksOf(features.msrs).map((chunk) => new Uint8Array(msrBlock(chunk).buffer));
  const record = () => opaqueRecord(owner, MSRS, joinBlocks(buffers));
  return buffers.map((buffer, i) => ({
    kind: MSRS,
    request: KVM_GET_MSRS,
    buffer,
    ...(i === 0 && { record }),
  }));
}

function readNested(owner: string, size: number): RecordRead[] {
  if (size === 0) return [];
  const state = KvmNestedState.alloc(size - KvmNestedState.size);
  state.size = size;
  const upTo = (end: number) => opaqueRecord(owner, NESTED, state.$bytes.slice(0, end));
  return [
    {
      kind: NESTED,
      request: KVM_GET_NESTED_STATE,
      buffer: state.$bytes,
      record: () => upTo(state.size),
      // of a guest that runs no guest of its own
      blank: () => upTo(KvmNestedState.size),
    },
  ];
}

/**
 * What is to be read of a vCPU, in order, and the records that it makes.
 *
 * @param owner The vCPU's name in the state, such as `cpu0`.
 */
export function vcpuReads(owner: string, features: VcpuFeatures) {
  const tsc = tscReads(owner, features.tsc);
  const parts: (RecordRead | PartRead | StateRead)[] = [
    // first: reading it makes KVM act on a pending INIT or SIPI, which changes registers
    readPart(owner, MP_STATE),
    readPart(owner, REGS),
    readPart(owner, SREGS),
    readXsave(owner, features),
    ...(features.xcrs ? [readPart(owner, XCRS)] : []),
    readPart(owner, DEBUGREGS),
    // after irqfds were deassigned: what they delivered is in the IRR by now
    readPart(owner, LAPIC),
    ...readMsrs(owner, features),
    ...tsc.reads,
    ...readNested(owner, features.nestedSize),
    // last: the calls above may turn a pending exception into an injected one
    readPart(owner, EVENTS),
  ];
  const gather = (recordOf: (read: RecordRead) => SavedRecord): SavedRecord[] => [
    tsc.record(),
    ...parts.flatMap((read) => ("record" in read ? [recordOf(read)] : [])),
  ];
  const byKind = parts.flatMap((read) => ("kind" in read ? [read] : []));
  return {
    reads: parts as readonly StateRead[],
    /** What loads all of it into a vCPU of the same host; `undefined` where the TSC's offset is not to be had. */
    writes: features.tsc.offset ? writesOf(byKind) : undefined,
    records: () => gather((read) => read.record()),
    /** The records without contents. The nested state may turn out longer. */
    preview: () => gather((read) => read.blank?.() ?? read.record()),
  };
}

function writesOf(reads: readonly PartRead[]): StateWrite[] {
  return STEPS.flatMap(({ kind, set }) =>
    reads
      .filter((read) => read.kind === kind)
      .map((read) => ({ request: set, read, taken: kind === MSRS ? msrIndices(read.buffer).length : 0 })),
  );
}

/** What a vCPU is loaded from. */
interface Saved {
  readonly fd: number;
  readonly owner: string;
  readonly features: VcpuFeatures;
  readonly records: ReadonlyMap<string, SavedRecord>;
  readonly time: RestoreTime;
}

/** One step of loading a vCPU. */
interface Step {
  readonly kind: string;
  /** Loads what was read of another vCPU of the same features, as it is. */
  readonly set: IoctlRequest;
  /** Loads a record. */
  load(saved: Saved): void;
}

const step = (p: Part): Step => ({
  kind: p.kind,
  set: p.set,
  load: ({ fd, owner, records }) => loadPart(fd, owner, records, p),
});

const STEPS: readonly Step[] = [
  // CR4, EFER and the APIC base come before all that depends on them
  step(SREGS),
  { kind: NESTED, set: KVM_SET_NESTED_STATE, load: loadNested },
  // clears a pending exception: before the events
  step(REGS),
  { kind: XSAVE, set: KVM_SET_XSAVE, load: loadXsave },
  { ...step(XCRS), load: (saved) => saved.features.xcrs && step(XCRS).load(saved) },
  step(DEBUGREGS),
  {
    kind: TSC,
    set: KVM_SET_DEVICE_ATTR,
    load: ({ fd, owner, records, time }) => restoreTsc(fd, owner, records, time),
  },
  // after the APIC base, before the MSRs: the TSC deadline needs the timer's mode
  step(LAPIC),
  { kind: MSRS, set: KVM_SET_MSRS, load: loadMsrs },
  step(EVENTS),
  step(MP_STATE),
];

function loadNested({ fd, owner, features, records }: Saved): void {
  if (features.nestedSize === 0 || !records.has(nestedStateOf(owner))) return;
  const bytes = savedBytes(records, owner, NESTED);
  // KVM reads as far as the structure says that it goes
  if (bytes.length < KvmNestedState.size || KvmNestedState.at(bytes.buffer).size !== bytes.length)
    throw new VmmError("state", `record "${nestedStateOf(owner)}" does not have the length that it tells`);
  ioctl(fd, KVM_SET_NESTED_STATE, bytes);
}

function loadXsave({ fd, owner, features, records }: Saved): void {
  ioctl(fd, KVM_SET_XSAVE, savedBytes(records, owner, XSAVE, features.xsaveSize));
}

/** A saved `kvm_msrs` block. @throws VmmError `state` */
export const savedMsrs = (records: ReadonlyMap<string, SavedRecord>, owner: string): Uint8Array =>
  savedList(records, owner, MSRS, MSR_LIST);

function loadMsrs({ fd, owner, records }: Saved): void {
  const refused = writeMsrs(fd, savedMsrs(records, owner));
  if (refused.length === 0) return;
  const list = refused.map((index) => `0x${index.toString(16)}`).join(", ");
  throw new VmmError("state", `${owner}: this host's KVM refuses the saved value of MSR ${list}`);
}

export function loadVcpu(
  fd: number,
  owner: string,
  features: VcpuFeatures,
  records: ReadonlyMap<string, SavedRecord>,
  time: RestoreTime,
): void {
  for (const { load } of STEPS) load({ fd, owner, features, records, time });
}

/**
 * Loads what finishing an access changes of a vCPU that is otherwise loaded: registers, those of SSE too, to which a
 * guest may load from a device, and events that became injected. The LAPIC is left alone, which may have got interrupts since.
 */
export function loadFinishedAccess(
  fd: number,
  owner: string,
  records: ReadonlyMap<string, SavedRecord>,
): void {
  for (const p of [SREGS, REGS]) loadPart(fd, owner, records, p);
  ioctl(fd, KVM_SET_XSAVE, savedBytes(records, owner, XSAVE));
  for (const p of [DEBUGREGS, EVENTS]) loadPart(fd, owner, records, p);
}
