/**
 * The PVH boot protocol: an ELF kernel is loaded as its program headers say and entered in 32-bit protected mode with
 * ebx pointing to a start info structure (Xen's docs/misc/pvh.pandoc).
 */
import type { BootInfo, KernelFiles, VcpuEntry } from "./boot.ts";
import { type ElfKernel, readElf } from "./elf.ts";
import { imageOf, type KernelImage, kernelError } from "./kernel-image.ts";
import {
  type BootRam,
  type BootRequest,
  CMDLINE,
  checkKernelRange,
  encodeCmdline,
  hex,
  placeInitrd,
  type Range,
  START_INFO,
  writeGuest,
  zeroGuest,
} from "./placement.ts";
import {
  HvmMemmapTableEntry,
  HvmModlistEntry,
  HvmStartInfo,
  START_INFO_VERSION,
  XEN_HVM_START_MAGIC_VALUE,
} from "./uapi/start-info.ts";

/** What x86 Linux keeps of a command line, which it cuts without a word. The protocol itself has no limit. */
const CMDLINE_LIMIT = 2047;
/** Above, a 32-bit Linux does not map memory for good; a 64-bit one takes what bzImages say. */
const INITRD_LAST = { 32: 0x37ffffff, 64: 0x7fffffff } as const;

const MODLIST = START_INFO + HvmStartInfo.size;
const MEMMAP = MODLIST + HvmModlistEntry.size;
const MEMMAP_ROOM = Math.floor((START_INFO + 4096 - MEMMAP) / HvmMemmapTableEntry.size);

/** A PVH boot that was found possible. */
export interface PvhPlan {
  readonly elf: ElfKernel;
  readonly cmdline: Uint8Array;
  readonly initrd: Range | undefined;
}

/** Checks the kernel, its command line and its initrd against each other and the RAM. Reads only headers. */
export function planPvh(image: KernelImage, request: BootRequest, ram: BootRam): PvhPlan {
  const elf = readElf(image);
  for (const { address, memorySize } of elf.segments) {
    checkKernelRange(image.path, { base: address, size: memorySize }, ram);
  }
  if (elf.pvhEntry > 0xffffffff) {
    throw kernelError(image.path, `its PVH entry point ${hex(elf.pvhEntry)} is above 4 GiB`);
  }
  const cmdline = encodeCmdline(image.path, request.cmdline, CMDLINE_LIMIT);
  let floor = 0;
  for (const { address, memorySize } of elf.segments) {
    if (address < ram.lowRamEnd) floor = Math.max(floor, address + memorySize);
  }
  const where = { floor, last: INITRD_LAST[elf.bits] };
  return { elf, cmdline, initrd: request.initrd && placeInitrd(request.initrd, where, ram) };
}

/** Loads the kernel. Nothing is written to guest memory before all is checked. */
export function loadPvh(files: KernelFiles, request: BootRequest, info: BootInfo): VcpuEntry {
  const { elf, cmdline, initrd } = planPvh(imageOf(files.path, files.kernel), request, info);
  const { memory } = info;
  if (info.memoryMap.length > MEMMAP_ROOM) {
    throw kernelError(files.path, `the memory map has more than ${MEMMAP_ROOM} entries`);
  }
  for (const { offset, fileSize, address, memorySize } of elf.segments) {
    writeGuest(memory, address, files.kernel.subarray(offset, offset + fileSize));
    zeroGuest(memory, address + fileSize, memorySize - fileSize);
  }
  if (initrd && files.initrd) writeGuest(memory, initrd.base, files.initrd.bytes);
  writeGuest(memory, CMDLINE, cmdline);
  writeStartInfo(info, initrd);
  return { eip: elf.pvhEntry, ebx: START_INFO };
}

function writeStartInfo({ memory, memoryMap, rsdp }: BootInfo, initrd: Range | undefined): void {
  const startInfo = HvmStartInfo.of({
    magic: XEN_HVM_START_MAGIC_VALUE,
    version: START_INFO_VERSION,
    nr_modules: initrd ? 1 : 0,
    modlist_paddr: initrd ? BigInt(MODLIST) : 0n,
    cmdline_paddr: BigInt(CMDLINE),
    rsdp_paddr: BigInt(rsdp),
    memmap_paddr: BigInt(MEMMAP),
    memmap_entries: memoryMap.length,
  });
  memory.write(START_INFO, startInfo.$bytes);
  const modules = HvmModlistEntry.of({
    paddr: BigInt(initrd?.base ?? 0),
    size: BigInt(initrd?.size ?? 0),
  });
  memory.write(MODLIST, modules.$bytes);
  memoryMap.forEach(({ base, size, type }, i) => {
    const entry = HvmMemmapTableEntry.of({ addr: BigInt(base), size: BigInt(size), type });
    memory.write(MEMMAP + i * HvmMemmapTableEntry.size, entry.$bytes);
  });
}
