import { describe, expect, test } from "bun:test";
import { gcc, probeConstants, probeLayouts } from "../../../../libc/test/c-probe.ts";
import * as linux from "./bootparam.ts";
import * as elf from "./elf.ts";
import { HvmMemmapTableEntry, HvmModlistEntry, HvmStartInfo } from "./start-info.ts";

describe.skipIf(gcc === null)("the C headers agree (needs gcc)", () => {
  test("on ELF", () => {
    const layouts = [elf.Elf32Ehdr, elf.Elf64Ehdr, elf.Elf32Phdr, elf.Elf64Phdr, elf.ElfNhdr];
    const headers = ["elf.h"];
    const cNames = Object.fromEntries(layouts.map(({ name }) => [name, { type: name }]));
    expect(probeLayouts(layouts, { headers, cNames })).toEqual([]);
    const numbers = Object.entries(elf).filter(([, value]) => typeof value === "number");
    expect(probeConstants(Object.fromEntries(numbers) as Record<string, number>, { headers })).toEqual([]);
  });

  test("on Linux's boot parameters", () => {
    const unnamed = Object.fromEntries(
      linux.BootParams.fields.filter((f) => f.name.startsWith("_")).map((f) => [f.name, null]),
    );
    const layouts = [linux.SetupHeader, linux.BootE820Entry, linux.BootParams];
    const cNames = { boot_params: { fields: unnamed } };
    expect(probeLayouts(layouts, { headers: ["asm/bootparam.h"], cNames })).toEqual([]);
    const { LOADED_HIGH, KEEP_SEGMENTS, E820_MAX_ENTRIES_ZEROPAGE } = linux;
    const numbers = { LOADED_HIGH, KEEP_SEGMENTS, E820_MAX_ENTRIES_ZEROPAGE };
    expect(probeConstants(numbers, { headers: ["asm/bootparam.h"] })).toEqual([]);
  });
});

test("the start info has the sizes that Xen's header gives in words", () => {
  expect([HvmStartInfo.size, HvmModlistEntry.size, HvmMemmapTableEntry.size]).toEqual([56, 32, 24]);
  expect(HvmStartInfo.offsets.memmap_paddr).toBe(40);
});
