/**
 * The guest's time stamp counter. On the same boot of the host it goes on by itself if the offset to the host's counter
 * is kept, and that is exact where writing the counter is not. On another boot the offset is worked out anew.
 */
import type { SavedRecord } from "@vmm/cpr";
import { addressOf, ioctl, ioctlRaw, struct, u32, u64 } from "@vmm/libc";
import type { RestoreTime } from "../accelerator.ts";
import { msrBlock } from "./msrs.ts";
import { type StateRead, setPointer } from "./state-read.ts";
import { savedBytes, structRecord } from "./state-record.ts";
import {
  KVM_GET_DEVICE_ATTR,
  KVM_GET_MSRS,
  KVM_GET_TSC_KHZ,
  KVM_HAS_DEVICE_ATTR,
  KVM_SET_DEVICE_ATTR,
  KVM_SET_MSRS,
  KVM_SET_TSC_KHZ,
  KVM_VCPU_TSC_CTRL,
  KVM_VCPU_TSC_OFFSET,
  KvmDeviceAttr,
  KvmMsrEntry,
  KvmMsrs,
} from "./uapi/kvm.ts";
import { MSR_IA32_TSC } from "./uapi/msr-index.ts";

/** The kind of the record. */
export const TSC = "kvm-tsc";

const TscState = struct(TSC, {
  /** Guest TSC minus host TSC, modulo 2^64. */
  offset: u64,
  /** The guest's TSC when it was saved. */
  value: u64,
  khz: u32,
  /** 1 where `offset` was to be had from KVM. */
  has_offset: u32,
});

/** What this host's KVM tells of a vCPU's TSC. */
export interface TscFeatures {
  readonly khz: number;
  /** Whether the offset to the host's TSC is to be had. */
  readonly offset: boolean;
}

/** A `kvm_device_attr` for the offset, with the word that it points to right behind it. */
function offsetAttribute(value = 0n): Uint8Array {
  const attribute = KvmDeviceAttr.alloc(8);
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = BigInt(KVM_VCPU_TSC_OFFSET);
  attribute.$view.setBigUint64(WORD.target, value, true);
  setPointer(attribute.$bytes, WORD.field, addressOf(attribute.$bytes) + WORD.target);
  return attribute.$bytes;
}

const WORD = { field: KvmDeviceAttr.offsets.addr, target: KvmDeviceAttr.size };
/** Where the value of the first MSR of a `kvm_msrs` block stands. */
const FIRST_VALUE = KvmMsrs.size + KvmMsrEntry.offsets.data;

export function tscFeatures(vcpu: number): TscFeatures {
  const offset = ioctlRaw(vcpu, KVM_HAS_DEVICE_ATTR.number, addressOf(offsetAttribute())) === 0;
  return { khz: ioctl(vcpu, KVM_GET_TSC_KHZ), offset };
}

/** What is to be read, and the record that it makes. */
export function tscReads(
  owner: string,
  features: TscFeatures,
): { reads: StateRead[]; record(): SavedRecord } {
  const value: StateRead = { request: KVM_GET_MSRS, buffer: new Uint8Array(msrBlock([MSR_IA32_TSC]).buffer) };
  const request = KVM_GET_DEVICE_ATTR;
  const offset = { kind: TSC, request, buffer: offsetAttribute(), pointer: WORD };
  const record = () => {
    const tsc = TscState.of({ khz: features.khz, value: wordAt(value.buffer, FIRST_VALUE) });
    if (features.offset) Object.assign(tsc, { offset: wordAt(offset.buffer, WORD.target), has_offset: 1 });
    return structRecord(owner, TSC, TscState, tsc.$bytes);
  };
  return { reads: features.offset ? [value, offset] : [value], record };
}

const wordAt = (bytes: Uint8Array, at: number): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);

/** Has the TSC count at a rate, which KVM refuses where the hardware cannot scale it; 0 leaves it as it is. */
export function setTscKhz(vcpu: number, khz: number): void {
  if (khz !== 0 && khz !== ioctl(vcpu, KVM_GET_TSC_KHZ)) ioctl(vcpu, KVM_SET_TSC_KHZ, khz);
}

/** The rate, in kHz, of a saved vCPU. */
export const savedTscKhz = (records: ReadonlyMap<string, SavedRecord>, owner: string): number =>
  savedState(records, owner).khz;

function savedState(records: ReadonlyMap<string, SavedRecord>, owner: string) {
  const bytes = savedBytes(records, owner, TSC, TscState.size);
  return TscState.at(bytes.buffer, bytes.byteOffset);
}

/** Loads the offset where it still holds and KVM takes it, else a value that has moved on by the time that passed. */
export function restoreTsc(
  vcpu: number,
  owner: string,
  records: ReadonlyMap<string, SavedRecord>,
  { elapsedNs, sameBoot }: RestoreTime,
): void {
  const state = savedState(records, owner);
  setTscKhz(vcpu, state.khz);
  if (sameBoot && state.has_offset === 1) {
    ioctl(vcpu, KVM_SET_DEVICE_ATTR, offsetAttribute(state.offset));
    return;
  }
  const elapsed = BigInt(Math.max(0, Math.round((elapsedNs * state.khz) / 1e6)));
  const block = msrBlock([MSR_IA32_TSC]);
  block.setBigUint64(FIRST_VALUE, BigInt.asUintN(64, state.value + elapsed), true);
  ioctl(vcpu, KVM_SET_MSRS, block);
}
