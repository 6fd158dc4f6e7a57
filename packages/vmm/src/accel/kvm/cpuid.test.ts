import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cpuidFor } from "./cpuid.ts";
import { KvmCpuid2, KvmCpuidEntry2 } from "./uapi/kvm.ts";

interface Leaf {
  function: number;
  index: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

const leaf = (fn: number, index = 0, registers: Partial<Leaf> = {}): Leaf => ({
  function: fn,
  index,
  eax: 0,
  ebx: 0,
  ecx: 0,
  edx: 0,
  ...registers,
});

/** A `kvm_cpuid2` block, as the kernel would give it. */
function block(leaves: readonly Leaf[]): Uint8Array {
  const bytes = new Uint8Array(KvmCpuid2.size + leaves.length * KvmCpuidEntry2.size);
  KvmCpuid2.at(bytes.buffer).nent = leaves.length;
  leaves.forEach((values, i) => {
    Object.assign(KvmCpuidEntry2.at(bytes.buffer, KvmCpuid2.size + i * KvmCpuidEntry2.size), values);
  });
  return bytes;
}

function parse(bytes: Uint8Array): Leaf[] {
  const { nent } = KvmCpuid2.at(bytes.buffer);
  expect(bytes.length).toBe(KvmCpuid2.size + nent * KvmCpuidEntry2.size);
  return Array.from({ length: nent }, (_, i) => {
    const entry = KvmCpuidEntry2.at(bytes.buffer, KvmCpuid2.size + i * KvmCpuidEntry2.size);
    const { index, eax, ebx, ecx, edx } = entry;
    return { function: entry.function, index, eax, ebx, ecx, edx };
  });
}

/** The leaf as vCPU `apicId` of `cpus` sees it. */
function seen(leaves: readonly Leaf[], fn: number, index: number, apicId: number, cpus: number): Leaf {
  const found = parse(cpuidFor(block(leaves), apicId, cpus)).filter(
    (l) => l.function === fn && l.index === index,
  );
  expect(found).toHaveLength(1);
  return found[0] as Leaf;
}

const HTT = 1 << 28;

describe("CPUID topology", () => {
  // a host with two threads per core, so that nothing of it may shine through
  const leaf1 = leaf(1, 0, { eax: 0x800f12, ebx: 0x07100800, ecx: 0x201, edx: 0x078bfbff | HTT });

  test.each([
    [1, 0, false],
    [4, 2, true],
    [8, 7, true],
  ])("leaf 1 of %d vCPUs: APIC id %d and the number of logical processors", (cpus, apicId, htt) => {
    const { eax, ebx, ecx, edx } = seen([leaf1], 1, 0, apicId, cpus);
    expect(eax).toBe(0x800f12);
    expect(ebx >>> 24).toBe(apicId);
    expect((ebx >>> 16) & 0xff).toBe(cpus);
    expect(ebx & 0xffff).toBe(0x0800);
    expect((edx & HTT) !== 0).toBe(htt);
    expect(edx & ~HTT).toBe(0x078bfbff);
    // hypervisor present, TSC deadline timer, and what was there
    expect(ecx).toBe(((1 << 31) | (1 << 24) | 0x201) >>> 0);
  });

  test.each([
    [1, 0, 0, 0],
    [4, 0, 3, 3],
    [8, 0, 7, 7],
  ])("leaf 4 of %d vCPUs: L1 belongs to one thread, L3 to the package", (cpus, l1, l3, cores) => {
    const host = [
      leaf(4, 0, { eax: 0x1c004121, ebx: 0x1c0003f, ecx: 0x3f }), // L1 data, shared by two threads
      leaf(4, 3, { eax: 0x1c03c163, ebx: 0x3c0003f, ecx: 0x7fff }), // L3
      leaf(4, 4),
    ];
    const sharing = (eax: number) => (eax >>> 14) & 0xfff;
    const first = seen(host, 4, 0, 0, cpus);
    const third = seen(host, 4, 3, 0, cpus);
    expect([sharing(first.eax), sharing(third.eax)]).toEqual([l1, l3]);
    expect([first.eax >>> 26, third.eax >>> 26]).toEqual([cores, cores]);
    expect([first.eax & 0x3fff, third.eax & 0x3fff]).toEqual([0x121, 0x163]);
    expect([first.ebx, first.ecx]).toEqual([0x1c0003f, 0x3f]);
    expect(seen(host, 4, 4, 0, cpus)).toEqual(leaf(4, 4));
  });

  test.each([
    [1, 0, 0],
    [4, 3, 2],
    [5, 4, 3],
    [8, 5, 3],
  ])("leaves 0xb and 0x1f of %d vCPUs have a thread level and a core level", (cpus, apicId, bits) => {
    for (const fn of [0xb, 0x1f]) {
      const host = [leaf(fn, 0, { eax: 1, ebx: 2, ecx: 0x100, edx: 9 }), leaf(fn, 1, { eax: 7, ebx: 128 })];
      const level = (index: number) => seen(host, fn, index, apicId, cpus);
      expect(level(0)).toEqual(leaf(fn, 0, { eax: 0, ebx: 1, ecx: 0x100, edx: apicId }));
      expect(level(1)).toEqual(leaf(fn, 1, { eax: bits, ebx: cpus, ecx: 0x201, edx: apicId }));
      expect(level(2)).toEqual(leaf(fn, 2, { ecx: 2, edx: apicId }));
    }
  });

  test("levels that the host's KVM leaves out are added, and no leaf that it lacks", () => {
    const fns = (host: Leaf[]) => parse(cpuidFor(block(host), 0, 4)).map((l) => `${l.function}.${l.index}`);
    expect(fns([leaf(0xb, 0), leaf(0xd, 0)])).toEqual(["11.0", "13.0", "11.1", "11.2"]);
    expect(fns([leaf(1), leaf(0xd, 0)])).toEqual(["1.0", "13.0"]);
  });

  test.each([
    [1, 0x0000],
    [4, 0x2003],
    [8, 0x3007],
  ])("AMD's leaf 0x80000008 of %d vCPUs counts cores and bits of the APIC id", (cpus, low) => {
    const host = [leaf(0x80000008, 0, { eax: 0x3030, ecx: 0x000170ff })];
    expect(seen(host, 0x80000008, 0, 0, cpus)).toEqual(
      leaf(0x80000008, 0, { eax: 0x3030, ecx: 0x00010000 | low }),
    );
  });

  test("AMD's leaf 0x8000001e has each vCPU as a core of node 0", () => {
    expect(seen([leaf(0x8000001e, 0, { eax: 9, ebx: 0x104, ecx: 0x301 })], 0x8000001e, 0, 6, 8)).toEqual(
      leaf(0x8000001e, 0, { eax: 6, ebx: 6 }),
    );
  });

  test("whatever else KVM supports is given as it is, and the host's block is not changed", () => {
    const register = fc.nat(0xffffffff);
    const other = fc.record({
      function: fc.constantFrom(0, 2, 7, 0xd, 0x40000000, 0x40000001, 0x80000001, 0x8000001d),
      index: fc.nat(3),
      eax: register,
      ebx: register,
      ecx: register,
      edx: register,
    });
    fc.assert(
      fc.property(fc.array(other), fc.integer({ min: 1, max: 64 }), (leaves, cpus) => {
        const supported = block(leaves);
        const before = supported.slice();
        expect(parse(cpuidFor(supported, cpus - 1, cpus))).toEqual(leaves);
        expect(supported).toEqual(before);
      }),
    );
  });

  test("APIC ids of any number of vCPUs fit the bits that are announced", () => {
    for (let cpus = 1; cpus <= 64; cpus++) {
      const { eax: bits } = seen([leaf(0xb, 0)], 0xb, 1, 0, cpus);
      expect(2 ** bits).toBeGreaterThanOrEqual(cpus);
      expect(2 ** (bits - 1)).toBeLessThan(cpus);
    }
  });
});
