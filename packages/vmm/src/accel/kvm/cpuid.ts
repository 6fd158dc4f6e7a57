/**
 * What CPUID tells the guest: all that KVM can give it, with the topology of this machine: one package with `cpus` cores
 * of one thread each, APIC ids 0 .. cpus-1 (Intel SDM vol. 2A CPUID; AMD APM vol. 3 appendix E).
 */
import { ioctl, type Struct } from "@vmm/libc";
import {
  KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
  KVM_GET_SUPPORTED_CPUID,
  KvmCpuid2,
  KvmCpuidEntry2,
} from "./uapi/kvm.ts";

const MAX_ENTRIES = 256;
const HEADER = KvmCpuid2.size;
const ENTRY = KvmCpuidEntry2.size;

/** Of a `kvm_cpuid2` block, in bytes. */
export const CPUID_LIST = { header: HEADER, entry: ENTRY };

/** Bits of leaf 1. */
const HTT = 1 << 28;
const HYPERVISOR = 1 << 31;
const TSC_DEADLINE = 1 << 24;

type Entry = Struct<{
  [K in "function" | "index" | "flags" | "eax" | "ebx" | "ecx" | "edx"]: typeof import("@vmm/libc").u32;
}>;

/** The CPUID that KVM supports on this host, as a `kvm_cpuid2` block. */
export function supportedCpuid(kvm: number): Uint8Array {
  const block = new Uint8Array(new ArrayBuffer(HEADER + MAX_ENTRIES * ENTRY));
  KvmCpuid2.at(block.buffer).nent = MAX_ENTRIES;
  ioctl(kvm, KVM_GET_SUPPORTED_CPUID, block);
  return block.slice(0, HEADER + KvmCpuid2.at(block.buffer).nent * ENTRY);
}

const bitsFor = (count: number): number => (count <= 1 ? 0 : 32 - Math.clz32(count - 1));

/** Changes one entry for the vCPU with this APIC id. */
function setTopology(entry: Entry, apicId: number, cpus: number): void {
  const bits = bitsFor(cpus);
  switch (entry.function) {
    case 0x1:
      entry.ebx = ((entry.ebx & 0x0000ffff) | ((cpus & 0xff) << 16) | (apicId << 24)) >>> 0;
      entry.edx = (cpus > 1 ? entry.edx | HTT : entry.edx & ~HTT) >>> 0;
      entry.ecx = (entry.ecx | HYPERVISOR | TSC_DEADLINE) >>> 0;
      break;
    case 0x4: // deterministic cache parameters: cores in the package, threads that share the cache
      if ((entry.eax & 0x1f) !== 0) {
        const sharing = ((entry.eax >>> 5) & 7) >= 3 ? cpus : 1;
        entry.eax = ((entry.eax & 0x3fff) | ((sharing - 1) << 14) | (((1 << bits) - 1) << 26)) >>> 0;
      }
      break;
    case 0xb:
    case 0x1f: {
      const level = entry.index;
      entry.eax = level === 0 ? 0 : level === 1 ? bits : 0;
      entry.ebx = level === 0 ? 1 : level === 1 ? cpus : 0;
      entry.ecx = (level | (level === 0 ? 0x100 : level === 1 ? 0x200 : 0)) >>> 0;
      entry.edx = apicId;
      break;
    }
    case 0x80000008:
      entry.ecx = ((entry.ecx & ~0xf0ff) | (bits << 12) | (cpus - 1)) >>> 0;
      break;
    case 0x8000001e:
      entry.eax = apicId;
      entry.ebx = apicId & 0xff;
      entry.ecx = 0;
      break;
  }
}

function entriesOf(block: Uint8Array): Entry[] {
  const count = KvmCpuid2.at(block.buffer, block.byteOffset).nent;
  return Array.from(
    { length: count },
    (_, i) => KvmCpuidEntry2.at(block.buffer, block.byteOffset + HEADER + i * ENTRY) as unknown as Entry,
  );
}

/** The topology leaves have one entry per level; KVM may give fewer than the two that we describe. */
function withTopologyLevels(block: Uint8Array): Uint8Array {
  const missing = [0xb, 0x1f].flatMap((leaf) => {
    const levels = entriesOf(block).filter((e) => e.function === leaf);
    if (levels.length === 0) return [];
    return [0, 1, 2]
      .filter((level) => !levels.some((e) => e.index === level))
      .map((index) => ({ leaf, index }));
  });
  const result = new Uint8Array(new ArrayBuffer(block.length + missing.length * ENTRY));
  result.set(block);
  KvmCpuid2.at(result.buffer).nent += missing.length;
  missing.forEach(({ leaf, index }, i) => {
    const entry = KvmCpuidEntry2.at(result.buffer, block.length + i * ENTRY);
    entry.function = leaf;
    entry.index = index;
    entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
  });
  return result;
}

/**
 * The CPUID of one vCPU, as a `kvm_cpuid2` block.
 *
 * @param supported What `supportedCpuid` gave.
 */
export function cpuidFor(supported: Uint8Array, apicId: number, cpus: number): Uint8Array {
  const block = withTopologyLevels(new Uint8Array(supported));
  for (const entry of entriesOf(block)) setTopology(entry, apicId, cpus);
  return block;
}
