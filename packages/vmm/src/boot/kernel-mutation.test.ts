import { expect, test } from "bun:test";
import fc from "fast-check";
import { bzImageFile, elfFile } from "../../test/guest-files.ts";
import { plainMemory } from "../../test/plain-memory.ts";
import { VmmError } from "../vmm-error.ts";
import type { BootInfo } from "./boot.ts";
import { loadKernel } from "./load-kernel.ts";

const MIB = 1 << 20;
const RAM = 4 * MIB;
const ROM = { gpa: 0xe0000, size: 0x20000 };
const CODE = new Uint8Array(64).fill(0x90);
const INITRD = { path: "initrd", bytes: new Uint8Array(5000).fill(0x55) };

const KERNELS: Record<string, Uint8Array> = {
  "64-bit ELF file": elfFile({ bits: 64, code: CODE, bss: 100, otherNote: true }),
  "32-bit ELF file": elfFile({ bits: 32, code: CODE, bss: 100, otherNote: true }),
  bzImage: bzImageFile({ code: CODE }),
};

/** Where a kernel's headers are, in bytes from its start: what is wild there decides what happens. */
const HEADERS: Record<string, [number, number]> = {
  "64-bit ELF file": [0, 230],
  "32-bit ELF file": [0, 170],
  bzImage: [0x1f1, 0x26c],
};

/** Loads the kernel; true where it loaded. All that it throws is a VmmError of one line about the kernel or initrd. */
function loads(info: BootInfo, kernel: Uint8Array): boolean {
  try {
    loadKernel({ path: "k", kernel, initrd: INITRD, cmdline: "quiet" }, info);
    return true;
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    expect(error.code).toBe("kernel-image");
    expect(error.message).toMatch(/^(kernel|initrd) (k|initrd): [^\n]+$/);
    return false;
  }
}

/**
 * Loads many kernels into memory that is marked all over: the ROM must keep its marks, and after a load that fails the
 * RAM too.
 */
function checkLoads(kernels: fc.Arbitrary<Uint8Array>): void {
  using ram = plainMemory([{ gpa: 0, size: 0xa0000 }, ROM, { gpa: MIB, size: RAM - MIB }]);
  const { memory } = ram;
  const memoryMap = [
    { base: 0, size: 0xa0000, type: 1 },
    { base: ROM.gpa, size: ROM.size, type: 2 },
    { base: MIB, size: RAM - MIB, type: 1 },
  ] as const;
  const info = { memory, memoryMap, lowRamEnd: RAM, rsdp: ROM.gpa, cpus: 1 };
  const all = memory.slots.map(({ gpa, size }) => memory.view(gpa, size));
  for (const view of all) view.fill(0xaa);
  const rom = memory.view(ROM.gpa, ROM.size);
  const isMarked = (view: Uint8Array) => Buffer.compare(view, marks.subarray(0, view.length)) === 0;
  const marks = new Uint8Array(RAM).fill(0xaa);
  fc.assert(
    fc.property(kernels, (kernel) => {
      if (!loads(info, kernel)) {
        expect(all.every(isMarked)).toBe(true);
        return;
      }
      expect(isMarked(rom)).toBe(true);
      for (const view of all) view.fill(0xaa);
    }),
    { numRuns: 300 },
  );
}

for (const [name, good] of Object.entries(KERNELS)) {
  const [from, to] = HEADERS[name] ?? [0, 0];

  test(`a good ${name} loads`, () => {
    using ram = plainMemory([{ gpa: 0, size: RAM }]);
    const memoryMap = [{ base: 0, size: RAM, type: 1 as const }];
    expect(loads({ memory: ram.memory, memoryMap, lowRamEnd: RAM, rsdp: 0, cpus: 1 }, good)).toBe(true);
  });

  test(`a ${name} cut anywhere is refused`, () => {
    checkLoads(fc.integer({ min: 0, max: good.length - 1 }).map((length) => good.subarray(0, length)));
  });

  test(`a ${name} with changed headers loads into RAM or is refused`, () => {
    const interesting = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff);
    const change = fc.tuple(fc.integer({ min: from, max: to - 1 }), fc.oneof(interesting, fc.nat(255)));
    const changes = fc.array(change, { minLength: 1, maxLength: 6 });
    checkLoads(
      changes.map((list) => {
        const kernel = good.slice();
        for (const [at, value] of list) kernel[at] = value;
        return kernel;
      }),
    );
  });
}

test("any bytes whatever are loaded or refused", () => {
  const magic = fc.constantFrom([], [0x7f, 0x45, 0x4c, 0x46, 1, 1], [0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  checkLoads(
    fc
      .tuple(magic, fc.uint8Array({ maxLength: 400 }))
      .map(([start, rest]) => Uint8Array.from([...start, ...rest])),
  );
});
