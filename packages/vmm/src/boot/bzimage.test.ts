import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type BzImageParts, bzImageFile } from "../../test/guest-files.ts";
import { plainMemory } from "../../test/plain-memory.ts";
import type { BootInfo, KernelFiles } from "./boot.ts";
import { readBzImage } from "./bzimage.ts";
import { imageOf } from "./kernel-image.ts";
import { loadKernel, readKernelFiles } from "./load-kernel.ts";
import { BootParams } from "./uapi/bootparam.ts";

const MIB = 1 << 20;
const CODE = new TextEncoder().encode("the kernel's code, which is 16n.");

/** A PC with that much RAM, in bytes. */
function pc(ram: number): { info: BootInfo; [Symbol.dispose](): void } {
  const ranges = [
    { gpa: 0, size: 0xa0000 },
    { gpa: MIB, size: ram - MIB },
  ];
  const plain = plainMemory(ranges);
  const memoryMap = ranges.map(({ gpa, size }) => ({ base: gpa, size, type: 1 as const }));
  const info = { memory: plain.memory, memoryMap, lowRamEnd: ram, rsdp: 0xe0000, cpus: 1 };
  return { info, [Symbol.dispose]: () => plain[Symbol.dispose]() };
}

const text = (info: BootInfo, gpa: number, length: number) =>
  new TextDecoder().decode(info.memory.view(gpa, length));

/** The boot parameters that the kernel is entered with. */
function load(info: BootInfo, files: KernelFiles) {
  const { eip, esi = 0 } = loadKernel(files, info);
  expect(eip).toBe(0x100000);
  return BootParams.at(info.memory.view(esi, BootParams.size).slice().buffer);
}

const files = (parts: Partial<BzImageParts> = {}, cmdline = ""): KernelFiles => ({
  path: "/boot/vmlinuz",
  kernel: bzImageFile({ code: CODE, ...parts }),
  cmdline,
});

test("the kernel proper lies at 1 MiB and the boot parameters say all it must know", () => {
  using machine = pc(16 * MIB);
  const { info } = machine;
  const initrd = { path: "initrd", bytes: new TextEncoder().encode("files".repeat(1000)) };
  const params = load(info, { ...files({}, "console=ttyS0"), initrd });
  expect(text(info, 0x100000, CODE.length)).toBe("the kernel's code, which is 16n.");
  expect(params.hdr).toMatchObject({
    version: 0x20f, // from the file
    type_of_loader: 0xff,
    code32_start: 0x100000,
    ramdisk_size: 5000,
    ramdisk_image: 16 * MIB - 0x2000, // as high as whole pages go
  });
  expect(text(info, params.hdr.ramdisk_image, 5000)).toBe("files".repeat(1000));
  expect(text(info, params.hdr.cmd_line_ptr, 14)).toBe("console=ttyS0\0");
  expect(params.acpi_rsdp_addr).toBe(0xe0000n);
  const map = Array.from({ length: params.e820_entries }, (_, i) => params.e820_table.get(i));
  expect(map.map((e) => ({ base: Number(e.addr), size: Number(e.size), type: e.type }))).toEqual([
    ...info.memoryMap,
  ]);
});

test("boot parameters beside the header are zero, whatever the file has there", () => {
  using machine = pc(16 * MIB);
  const kernel = bzImageFile({ code: CODE });
  kernel.fill(0xee, 0, 0x1f1);
  kernel.fill(0xee, 0x26c, 0x400);
  const params = load(machine.info, { ...files(), kernel });
  expect(params.sentinel).toBe(0);
  expect(params.$bytes.subarray(0x26c, 0x2d0).every((byte) => byte === 0)).toBe(true);
});

test("the initrd stays below what the kernel can reach", () => {
  using machine = pc(16 * MIB);
  const initrd = { path: "initrd", bytes: new Uint8Array(4096) };
  const params = load(machine.info, { ...files({ header: { initrd_addr_max: 8 * MIB - 1 } }), initrd });
  expect(params.hdr.ramdisk_image).toBe(8 * MIB - 4096);
});

test("the initrd keeps clear of the memory in which the kernel unpacks itself", () => {
  using machine = pc(16 * MIB);
  const header = { pref_address: BigInt(4 * MIB), init_size: 10 * MIB };
  const initrd = (size: number) => ({ path: "initrd.img", bytes: new Uint8Array(size) });
  const params = load(machine.info, { ...files({ header }), initrd: initrd(2 * MIB) });
  expect(params.hdr.ramdisk_image).toBe(14 * MIB);
  expect(() => load(machine.info, { ...files({ header }), initrd: initrd(2 * MIB + 1) })).toThrow(
    `initrd initrd.img: does not fit: it has ${2 * MIB + 1} bytes and RAM has room for ${2 * MIB}; give the VM more`,
  );
});

test("a kernel that is moved to its alignment needs the RAM there", () => {
  using machine = pc(16 * MIB);
  const header = { kernel_alignment: 8 * MIB, init_size: 8 * MIB };
  load(machine.info, files({ header }));
  expect(() => load(machine.info, files({ header: { ...header, init_size: 8 * MIB + 1 } }))).toThrow(
    "does not fit in RAM: it needs 0x800000..0x1000001 and RAM ends at 16 MiB; give the VM more",
  );
});

test("the command line may have as many bytes as the kernel says", () => {
  using machine = pc(16 * MIB);
  const header = { cmdline_size: 10 };
  load(machine.info, files({ header }, "0123456789"));
  expect(() => load(machine.info, files({ header }, "0123456789x"))).toThrow(
    "kernel /boot/vmlinuz: the command line has 11 bytes; this kernel takes at most 10",
  );
});

const cut = (length: number) => ({ ...files(), kernel: files().kernel.subarray(0, length) });

test.each([
  ["cut in its kernel", cut(2560 + 31), "is a truncated bzImage: it says it has 2592 bytes and has 2591"],
  ["cut in its setup", cut(1000), "is a truncated bzImage: it says it has 2592 bytes and has 1000"],
  ["cut in its header", cut(0x210), "is a truncated bzImage"],
  ["that is too old", files({ header: { version: 0x206 } }), "speaks boot protocol 2.06; 2.07"],
  ["that loads low", files({ header: { loadflags: 0 } }), "is a zImage"],
  ["without a kernel", files({ header: { syssize: 0 } }), "its kernel has 0 bytes"],
  ["with a header of no length", files({ header: { jump: 0x00eb } }), "its header ends at byte 514"],
  ["with a payload beyond its end", files({ header: { payload_length: 33 } }), "its payload is larger"],
  ["with an odd alignment", files({ header: { kernel_alignment: 3 } }), "its alignment of 3 bytes"],
] as [string, KernelFiles, string][])("a bzImage %s is refused", (_, broken, problem) => {
  using machine = pc(16 * MIB);
  expect(() => load(machine.info, broken)).toThrow(problem);
  expect(() => load(machine.info, broken)).toThrow(/^kernel \/boot\/vmlinuz: [^\n]+$/);
});

const LAB = join(import.meta.dir, "../../../../../shared/lab");

for (const name of ["bzImage", "bzImage.i386"]) {
  const path = join(LAB, name);
  test.skipIf(!existsSync(path))(`a real ${name} loads (needs the lab's kernel)`, () => {
    using machine = pc(64 * MIB);
    const { kernel } = readKernelFiles({ kernel: path, cmdline: "" });
    const { version, kernelOffset, kernelSize } = readBzImage(imageOf(path, kernel));
    expect(version).toBeGreaterThanOrEqual(0x20f);
    expect(kernelOffset + kernelSize).toBe(kernel.length);
    load(machine.info, { path, kernel, cmdline: "console=ttyS0" });
    expect(
      Buffer.compare(machine.info.memory.view(0x100000, kernelSize), kernel.subarray(kernelOffset)),
    ).toBe(0);
  });
}
