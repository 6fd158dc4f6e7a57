/** Kernels from files: finds out what a file is, says early and in one line what is wrong with it, and loads it. */
import type { BootConfig } from "../config/vm-config.ts";
import type { BootInfo, KernelFiles, VcpuEntry } from "./boot.ts";
import { isBzImage, loadBzImage, planBzImage } from "./bzimage.ts";
import { isElf } from "./elf.ts";
import {
  imageOf,
  type KernelImage,
  kernelError,
  MAX_INITRD_SIZE,
  MAX_KERNEL_SIZE,
  withFile,
} from "./kernel-image.ts";
import type { BootRam, BootRequest } from "./placement.ts";
import { loadPvh, planPvh } from "./pvh.ts";

/** A kernel that is not built in. */
export type KernelConfig = Extract<BootConfig, { readonly kernel: string }>;

/** What a kernel file can be. */
export type KernelFormat = "elf" | "bzimage";

/** RAM enough for any kernel: up to 3 GiB, with a PC's hole below 1 MiB. */
const AMPLE_RAM: BootRam = {
  memoryMap: [
    { base: 0, size: 0xa0000, type: 1 },
    { base: 0x100000, size: 0xc0000000 - 0x100000, type: 1 },
  ],
  lowRamEnd: 0xc0000000,
};

/** Formats that kernels come wrapped in, by their first bytes. */
const WRAPPERS: readonly { name: string; magic: readonly number[] }[] = [
  { name: "gzip", magic: [0x1f, 0x8b] },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68] },
  { name: "lz4", magic: [0x02, 0x21, 0x4c, 0x18] },
];

/** What the image is, by its magic numbers. @throws VmmError `kernel-image` where it is no kernel. */
export function detect(image: KernelImage): KernelFormat {
  if (isElf(image)) return "elf";
  if (isBzImage(image)) return "bzimage";
  const start = image.read(0, Math.min(image.size, 8));
  const wrapper = WRAPPERS.find(({ magic }) =>
    magic.every((b, i) => i < start.byteLength && start.getUint8(i) === b),
  );
  if (wrapper) throw kernelError(image.path, `is compressed with ${wrapper.name}; unpack it first`);
  throw kernelError(
    image.path,
    "is not a kernel: an ELF file with a PVH note (vmlinux) or a bzImage is needed",
  );
}

/**
 * Checks what can be known before a VM is made: that the files are there and are what they should be, that they fit
 * together and, where `ram` is given, into the RAM. Reads headers only.
 *
 * @throws VmmError `kernel-image` with one line that names the file.
 */
export function checkKernelFiles(boot: BootConfig, ram: BootRam = AMPLE_RAM): void {
  if ("guest" in boot) return;
  withFile("kernel", boot.kernel, MAX_KERNEL_SIZE, (image) => {
    const plan = detect(image) === "elf" ? planPvh : planBzImage;
    const path = boot.initrd;
    const initrd = path && { path, size: withFile("initrd", path, MAX_INITRD_SIZE, (file) => file.size) };
    plan(image, { cmdline: boot.cmdline, ...(initrd && { initrd }) }, ram);
  });
}

/** Reads the kernel and the initrd whole. @throws VmmError `kernel-image` where a file cannot be read. */
export function readKernelFiles({ kernel, initrd, cmdline }: KernelConfig): KernelFiles {
  const whole = (image: KernelImage) => new Uint8Array(image.read(0, image.size).buffer);
  return {
    path: kernel,
    kernel: withFile("kernel", kernel, MAX_KERNEL_SIZE, whole),
    ...(initrd && { initrd: { path: initrd, bytes: withFile("initrd", initrd, MAX_INITRD_SIZE, whole) } }),
    cmdline,
  };
}

/** Puts the kernel into guest RAM. @throws VmmError `kernel-image`, before anything is written. */
export function loadKernel(files: KernelFiles, info: BootInfo): VcpuEntry {
  const { path, kernel, initrd, cmdline } = files;
  const request: BootRequest = {
    cmdline,
    ...(initrd && { initrd: { path: initrd.path, size: initrd.bytes.length } }),
  };
  const load = detect(imageOf(path, kernel)) === "elf" ? loadPvh : loadBzImage;
  return load(files, request, info);
}
