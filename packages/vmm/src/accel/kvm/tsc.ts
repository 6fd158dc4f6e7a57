/**
 * The guest's time stamp counter. On the same boot of the host it goes on by itself if the offset to the host's counter
 * is kept, and that is exact where writing the counter is not. On another boot the offset is worked out anew.
 */
import { addressOf, ioctl, ioctlRaw, struct, u32, u64 } from "@vmm/libc";
import type { RestoreTime } from "../accelerator.ts";
import { msrBlock } from "./msrs.ts";
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
  MSR_IA32_TSC,
} from "./uapi/kvm.ts";

export const TscState = struct("kvm-tsc", {
  /** Guest TSC minus host TSC, modulo 2^64. */
  offset: u64,
  /** The guest's TSC when it was saved. */
  value: u64,
  khz: u32,
  /** 1 where `offset` was to be had from KVM. */
  has_offset: u32,
});

function offsetAttribute(value: BigUint64Array) {
  return KvmDeviceAttr.of({
    group: KVM_VCPU_TSC_CTRL,
    attr: BigInt(KVM_VCPU_TSC_OFFSET),
    addr: BigInt(addressOf(value)),
  });
}

/** A word in a buffer of its own: its address goes into a structure, so it must not move. */
const stableWord = (value = 0n): BigUint64Array => new BigUint64Array(new BigUint64Array([value]).buffer);

const hasOffset = (vcpu: number): boolean =>
  ioctlRaw(vcpu, KVM_HAS_DEVICE_ATTR.number, addressOf(offsetAttribute(stableWord()).$bytes)) === 0;

export function readGuestTsc(vcpu: number): bigint {
  const block = msrBlock([MSR_IA32_TSC]);
  ioctl(vcpu, KVM_GET_MSRS, block);
  return block.getBigUint64(16, true);
}

export function saveTsc(vcpu: number): Uint8Array {
  const state = TscState.alloc();
  state.khz = ioctl(vcpu, KVM_GET_TSC_KHZ);
  state.value = readGuestTsc(vcpu);
  if (hasOffset(vcpu)) {
    const word = stableWord();
    ioctl(vcpu, KVM_GET_DEVICE_ATTR, offsetAttribute(word));
    state.offset = word[0] as bigint;
    state.has_offset = 1;
  }
  return state.$bytes;
}

/** Loads the offset where it still holds and KVM takes it, else a value that has moved on by the time that passed. */
export function restoreTsc(vcpu: number, bytes: Uint8Array, { elapsedNs, sameBoot }: RestoreTime): void {
  const state = TscState.at(bytes.buffer, bytes.byteOffset);
  if (state.khz !== 0 && state.khz !== ioctl(vcpu, KVM_GET_TSC_KHZ)) ioctl(vcpu, KVM_SET_TSC_KHZ, state.khz);
  if (sameBoot && state.has_offset === 1 && hasOffset(vcpu)) {
    ioctl(vcpu, KVM_SET_DEVICE_ATTR, offsetAttribute(stableWord(state.offset)));
    return;
  }
  const elapsed = BigInt(Math.max(0, Math.round((elapsedNs * state.khz) / 1e6)));
  const block = msrBlock([MSR_IA32_TSC]);
  block.setBigUint64(16, BigInt.asUintN(64, state.value + elapsed), true);
  ioctl(vcpu, KVM_SET_MSRS, block);
}
