import { expect, test } from "bun:test";
import { elfFile, LOAD_ADDRESS } from "../../test/guest-files.ts";
import { plainMemory } from "../../test/plain-memory.ts";
import type { BootInfo } from "./boot.ts";
import { loadKernel } from "./load-kernel.ts";
import { CMDLINE } from "./placement.ts";
import * as elf from "./uapi/elf.ts";
import {
  HvmMemmapTableEntry,
  HvmModlistEntry,
  HvmStartInfo,
  XEN_HVM_START_MAGIC_VALUE,
} from "./uapi/start-info.ts";

const MIB = 1 << 20;
const RAM = 16 * MIB;
const CODE = new TextEncoder().encode("the kernel's code");

/** A PC with 16 MiB of RAM. */
function pc(): { info: BootInfo; [Symbol.dispose](): void } {
  const ram = plainMemory([
    { gpa: 0, size: 0xa0000 },
    { gpa: MIB, size: RAM - MIB },
  ]);
  const memoryMap = [
    { base: 0, size: 0xa0000, type: 1 },
    { base: 0xe0000, size: 0x20000, type: 2 },
    { base: MIB, size: RAM - MIB, type: 1 },
  ] as const;
  const info = { memory: ram.memory, memoryMap, lowRamEnd: RAM, rsdp: 0xe0000, cpus: 1 };
  return { info, [Symbol.dispose]: () => ram[Symbol.dispose]() };
}

const text = (info: BootInfo, gpa: number, length: number) =>
  new TextDecoder().decode(info.memory.view(gpa, length));

test.each([32, 64] as const)("a %d-bit kernel lies where its headers say, with its bss zeroed", (bits) => {
  using machine = pc();
  const { info } = machine;
  info.memory.view(LOAD_ADDRESS, 0x3000).fill(0xff);
  const kernel = elfFile({ bits, code: CODE, bss: 0x1000, otherNote: true });
  const entry = loadKernel({ path: "vmlinux", kernel, cmdline: "" }, info);
  expect(entry.eip).toBe(LOAD_ADDRESS);
  expect(text(info, LOAD_ADDRESS, CODE.length)).toBe("the kernel's code");
  const bss = info.memory.view(LOAD_ADDRESS + CODE.length, 0x1001);
  expect(bss.subarray(0, 0x1000).every((byte) => byte === 0)).toBe(true);
  expect(bss[0x1000]).toBe(0xff);
});

test("the start info leads to the command line, the RSDP, the initrd and the memory map", () => {
  using machine = pc();
  const { info } = machine;
  const initrd = { path: "initrd", bytes: new TextEncoder().encode("files".repeat(1000)) };
  const kernel = elfFile({ bits: 64, code: CODE });
  const { ebx = 0 } = loadKernel({ path: "vmlinux", kernel, initrd, cmdline: "console=ttyS0 é" }, info);
  const structure = (gpa: number, size: number) => info.memory.view(gpa, size).slice().buffer;
  const start = HvmStartInfo.at(structure(ebx, HvmStartInfo.size));
  expect(start).toMatchObject({ magic: XEN_HVM_START_MAGIC_VALUE, version: 1, flags: 0, nr_modules: 1 });
  expect(start.rsdp_paddr).toBe(0xe0000n);
  expect(text(info, Number(start.cmdline_paddr), 17)).toBe("console=ttyS0 é\0");

  const module = HvmModlistEntry.at(structure(Number(start.modlist_paddr), HvmModlistEntry.size));
  expect(module.size).toBe(5000n);
  expect(module.paddr).toBe(BigInt(RAM - 0x2000)); // as high as whole pages go
  expect(text(info, Number(module.paddr), 5000)).toBe("files".repeat(1000));

  const entries = Array.from({ length: start.memmap_entries }, (_, i) => {
    const at = Number(start.memmap_paddr) + i * HvmMemmapTableEntry.size;
    const { addr, size, type } = HvmMemmapTableEntry.at(structure(at, HvmMemmapTableEntry.size));
    return { base: Number(addr), size: Number(size), type };
  });
  expect(entries).toEqual(info.memoryMap.map((entry) => ({ ...entry })));
});

test("without an initrd there is no module", () => {
  using machine = pc();
  const { info } = machine;
  const kernel = elfFile({ bits: 32, code: CODE });
  const { ebx = 0 } = loadKernel({ path: "vmlinux", kernel, cmdline: "" }, info);
  const start = HvmStartInfo.at(info.memory.view(ebx, HvmStartInfo.size).slice().buffer);
  expect(start).toMatchObject({ nr_modules: 0, modlist_paddr: 0n });
  expect(info.memory.view(CMDLINE, 1)[0]).toBe(0);
});

/** A good kernel with some fields changed. */
function changed(change: (header: { [field: string]: unknown }, load: { [field: string]: unknown }) => void) {
  const kernel = elfFile({ bits: 64, code: CODE });
  const loadAt = elf.Elf64Ehdr.size + elf.Elf64Phdr.size;
  change(elf.Elf64Ehdr.at(kernel.buffer) as never, elf.Elf64Phdr.at(kernel.buffer, loadAt) as never);
  return kernel;
}

test.each([
  ["for another machine", changed((h) => Object.assign(h, { e_machine: 183 })), "another machine (AArch64)"],
  ["for an unknown machine", changed((h) => Object.assign(h, { e_machine: 999 })), "(ELF machine 999)"],
  ["that is an object file", changed((h) => Object.assign(h, { e_type: 1 })), "type 1, not an executable"],
  ["without segments", changed((h) => Object.assign(h, { e_phnum: 0 })), "nothing is to be loaded"],
  [
    "with a table beyond its end",
    changed((h) => Object.assign(h, { e_phoff: 1n << 63n })),
    "is a truncated ELF file",
  ],
  [
    "with odd headers",
    changed((h) => Object.assign(h, { e_phentsize: 8 })),
    "its program headers have 8 bytes",
  ],
  [
    "with more in the file than in memory",
    changed((_, p) => Object.assign(p, { p_memsz: 4n })),
    "17 bytes in the file",
  ],
  ["beyond RAM", changed((_, p) => Object.assign(p, { p_memsz: 1n << 40n })), "RAM ends at 16 MiB"],
  ["where there is no RAM", changed((_, p) => Object.assign(p, { p_paddr: 0xb0000n })), "is in no segment"],
  [
    "in the hole below 1 MiB",
    changed((_, p) => Object.assign(p, { p_paddr: 0xf0000n, p_memsz: 0x20000n })),
    "does not fit in RAM",
  ],
  [
    "on its boot data",
    elfFile({ bits: 64, code: CODE, address: 0x5ff8 }),
    "loads at 0x5ff8, where its boot data goes",
  ],
] as [string, Uint8Array, string][])("a kernel %s is refused", (_, kernel, problem) => {
  using machine = pc();
  const load = () => loadKernel({ path: "/boot/vmlinux", kernel, cmdline: "" }, machine.info);
  expect(load).toThrow(problem);
  expect(load).toThrow(/^kernel \/boot\/vmlinux: [^\n]+$/);
});

test("an ELF file without a PVH note is refused with what helps", () => {
  using machine = pc();
  const kernel = elfFile({ bits: 64, code: CODE });
  elf.Elf64Phdr.at(kernel.buffer, elf.Elf64Ehdr.size).p_type = 0;
  const load = () => loadKernel({ path: "vmlinux", kernel, cmdline: "" }, machine.info);
  expect(load).toThrow(
    "kernel vmlinux: has no PVH note, so it cannot be started directly: build it with CONFIG_PVH=y",
  );
});

test("an initrd that is too large is refused with the room there is", () => {
  using machine = pc();
  const kernel = elfFile({ bits: 64, code: CODE });
  const initrd = { path: "initrd.img", bytes: new Uint8Array(RAM) };
  const load = () => loadKernel({ path: "vmlinux", kernel, initrd, cmdline: "" }, machine.info);
  const room = RAM - LOAD_ADDRESS - CODE.length;
  expect(load).toThrow(`initrd initrd.img: does not fit: it has ${RAM} bytes and RAM has room for ${room}`);
});

test("a command line that the kernel would cut is refused, and the longest is not", () => {
  using machine = pc();
  const kernel = elfFile({ bits: 64, code: CODE });
  const load = (cmdline: string) => loadKernel({ path: "vmlinux", kernel, cmdline }, machine.info);
  expect(() => load("x".repeat(2048))).toThrow(
    "the command line has 2048 bytes; this kernel takes at most 2047",
  );
  load("x".repeat(2047));
  expect(text(machine.info, CMDLINE, 2048)).toBe(`${"x".repeat(2047)}\0`);
  expect(() => load("a\0b")).toThrow("contains a NUL character");
});
