/**
 * The model-specific registers of a vCPU. Which there are is for KVM to say; those that cannot be read on this vCPU are
 * left out for good. The TSC is not among them: it travels as an offset, see `tsc.ts`.
 */
import { ioctl } from "@vmm/libc";
import { KVM_GET_MSR_INDEX_LIST, KVM_GET_MSRS, KVM_SET_MSRS, KvmMsrEntry, KvmMsrs } from "./uapi/kvm.ts";
import {
  MSR_IA32_MC0_CTL,
  MSR_IA32_MC0_CTL2,
  MSR_IA32_TSC,
  MSR_IA32_TSC_DEADLINE,
  MSR_MTRRdefType,
  MSR_MTRRfix4K_C0000,
  MSR_MTRRfix16K_80000,
  MSR_MTRRfix64K_00000,
  MTRRphysBase_MSR0,
} from "./uapi/msr-index.ts";

const HEADER = KvmMsrs.size;
const ENTRY = KvmMsrEntry.size;
const DATA = KvmMsrEntry.offsets.data;

/** Of a `kvm_msrs` block, in bytes. */
export const MSR_LIST = { header: HEADER, entry: ENTRY };

/** A `kvm_msrs` block of so many entries, all zero. */
function emptyBlock(entries: number): DataView {
  const view = new DataView(new ArrayBuffer(HEADER + entries * ENTRY));
  view.setUint32(0, entries, true);
  return view;
}

/** A `kvm_msrs` block with the given indices and no values. */
export function msrBlock(indices: readonly number[]): DataView {
  const view = emptyBlock(indices.length);
  indices.forEach((index, i) => {
    view.setUint32(HEADER + i * ENTRY, index, true);
  });
  return view;
}

/** The indices of a `kvm_msrs` block. */
export function msrIndices(block: Uint8Array): number[] {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  return Array.from({ length: view.getUint32(0, true) }, (_, i) => view.getUint32(HEADER + i * ENTRY, true));
}

/** Whether a `kvm_msrs` block is one of these indices, in this order. */
export function hasIndices(block: Uint8Array, indices: readonly number[]): boolean {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const count = view.getUint32(0, true);
  // a loop: the guest stands still meanwhile
  for (let i = 0; i < count; i++) if (view.getUint32(HEADER + i * ENTRY, true) !== indices[i]) return false;
  return count === indices.length;
}

const row = (first: number, count: number): number[] => Array.from({ length: count }, (_, n) => first + n);

/** As many as KVM has at the most (`KVM_MAX_MCE_BANKS`). */
const MCE_BANKS = 32;
const VARIABLE_MTRRS = 8;

/**
 * MSRs that a guest can set and KVM keeps, and does not list: the memory types, and the banks of the machine check. Those
 * that a vCPU lacks are left out as others are.
 */
const UNLISTED: readonly number[] = [
  MSR_MTRRdefType,
  MSR_MTRRfix64K_00000,
  ...row(MSR_MTRRfix16K_80000, 2),
  ...row(MSR_MTRRfix4K_C0000, 8),
  ...row(MTRRphysBase_MSR0, 2 * VARIABLE_MTRRS),
  ...row(MSR_IA32_MC0_CTL2, MCE_BANKS),
  ...row(MSR_IA32_MC0_CTL, 4 * MCE_BANKS),
];

/** The indices of all MSRs of which a guest's state may consist: what KVM says, and what it leaves out. */
export function msrIndexList(kvm: number): number[] {
  const probe = new DataView(new ArrayBuffer(4 + 4 * 4096));
  probe.setUint32(0, 4096, true);
  ioctl(kvm, KVM_GET_MSR_INDEX_LIST, probe);
  const indices: number[] = [];
  for (let i = 0; i < probe.getUint32(0, true); i++) indices.push(probe.getUint32(4 + 4 * i, true));
  const unlisted = UNLISTED.filter((index) => !indices.includes(index));
  return [...indices.filter((index) => index !== MSR_IA32_TSC), ...unlisted];
}

/**
 * The MSRs of `indices` that this vCPU lets be read: some its CPUID lacks. The TSC deadline comes last,
 * since KVM takes it only once the LAPIC timer's mode is loaded.
 */
export function readableMsrs(vcpu: number, indices: readonly number[]): number[] {
  const last = indices.filter((index) => index === MSR_IA32_TSC_DEADLINE);
  const others = indices.filter((index) => index !== MSR_IA32_TSC_DEADLINE);
  return chunksOf([...others, ...last]).flatMap((chunk) => {
    let rest = chunk;
    for (;;) {
      const read = ioctl(vcpu, KVM_GET_MSRS, msrBlock(rest));
      if (read === rest.length) return rest;
      rest = rest.filter((_, i) => i !== read);
    }
  });
}

/** The most that KVM takes at once (`MAX_IO_MSRS`, less one). */
const MAX_AT_ONCE = 255;

/** Parts of a list that KVM takes. */
export function chunksOf(indices: readonly number[]): number[][] {
  const chunks = Math.ceil(indices.length / MAX_AT_ONCE);
  return Array.from({ length: chunks }, (_, i) => indices.slice(i * MAX_AT_ONCE, (i + 1) * MAX_AT_ONCE));
}

/** `kvm_msrs` blocks as one. */
export function joinBlocks(blocks: readonly Uint8Array[]): Uint8Array {
  const entries = blocks.reduce((sum, { length }) => sum + (length - HEADER) / ENTRY, 0);
  const bytes = new Uint8Array(emptyBlock(entries).buffer);
  let at = HEADER;
  for (const block of blocks) {
    bytes.set(block.subarray(HEADER), at);
    at += block.length - HEADER;
  }
  return bytes;
}

/** Reads the MSRs as a `kvm_msrs` block. */
export function readMsrs(vcpu: number, indices: readonly number[]): Uint8Array {
  return joinBlocks(
    chunksOf(indices).map((chunk) => {
      const block = msrBlock(chunk);
      ioctl(vcpu, KVM_GET_MSRS, block);
      return new Uint8Array(block.buffer);
    }),
  );
}

/**
 * Writes a `kvm_msrs` block. KVM stops at the first MSR that it refuses; those that are refused and hold zero are of no
 * consequence (features that the guest never used), others are returned.
 *
 * @returns The indices of refused MSRs that hold a value.
 */
export function writeMsrs(vcpu: number, block: Uint8Array): number[] {
  const refused: number[] = [];
  const count = new DataView(block.buffer, block.byteOffset).getUint32(0, true);
  for (let done = 0; done < count; ) {
    const part = blockPart(block, done, Math.min(MAX_AT_ONCE, count - done));
    const written = ioctl(vcpu, KVM_SET_MSRS, part);
    done += written;
    if (written === part.getUint32(0, true)) continue;
    const at = HEADER + written * ENTRY;
    if (part.getBigUint64(at + DATA, true) !== 0n) refused.push(part.getUint32(at, true));
    done++;
  }
  return refused;
}

/** Some entries of a block as one of its own. */
function blockPart(block: Uint8Array, first: number, count: number): DataView {
  const part = emptyBlock(count);
  const from = HEADER + first * ENTRY;
  new Uint8Array(part.buffer).set(block.subarray(from, from + count * ENTRY), HEADER);
  return part;
}
