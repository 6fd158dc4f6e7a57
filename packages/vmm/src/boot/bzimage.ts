/**
 * The Linux boot protocol (the kernel's Documentation/arch/x86/boot.rst): a bzImage is loaded at 1 MiB and entered in
 * 32-bit protected mode with esi pointing to the boot parameters. The kernel unpacks itself to where it runs.
 */
import type { BootInfo, KernelFiles, VcpuEntry } from "./boot.ts";
import { imageOf, type KernelImage, kernelError } from "./kernel-image.ts";
import {
  BOOT_PARAMS,
  type BootRam,
  type BootRequest,
  CMDLINE,
  checkKernelRange,
  encodeCmdline,
  placeInitrd,
  type Range,
  writeGuest,
} from "./placement.ts";
import * as linux from "./uapi/bootparam.ts";

/** What the header of a bzImage says. */
export interface BzImage {
  /** Boot protocol, such as 0x20f for 2.15. */
  readonly version: number;
  /** The kernel proper: offset and size in the file, in bytes. */
  readonly kernelOffset: number;
  readonly kernelSize: number;
  /** The header as it goes into the boot parameters. */
  readonly header: Uint8Array;
  /** Guest-physical addresses that the kernel uses before it reads the memory map. */
  readonly runtime: Range | undefined;
  /** The highest address that the initrd's last byte may have. */
  readonly initrdLast: number;
  /** The longest command line in bytes. */
  readonly cmdlineLimit: number;
}

const SECTOR = 512;
/** Where a bzImage is loaded. */
const LOAD_ADDRESS = 0x100000;
/** setup_sects of 0 means 4. */
const DEFAULT_SETUP_SECTORS = 4;

/* Boot protocol versions: the field or flag that each brought is used here. */
/** KEEP_SEGMENTS, cmdline_size (2.06). */
const OLDEST_VERSION = 0x207;
/** payload_offset. */
const WITH_PAYLOAD = 0x208;
/** pref_address, init_size. */
const WITH_INIT_SIZE = 0x20a;

/** Bytes that show whether a file is a bzImage. */
const PROBE = 0x206;
/** Where the longest header ends: its jump's distance is a signed byte. */
const HEADER_END_MAX = 0x202 + 0x7f;

const SETUP = linux.SETUP_HEADER_OFFSET;
const { offsets } = linux.SetupHeader;

export function isBzImage(image: KernelImage): boolean {
  if (image.size < PROBE) return false;
  const start = image.read(0, PROBE);
  const isBootSector = start.getUint16(SETUP + offsets.boot_flag, true) === linux.BOOT_FLAG;
  return isBootSector && start.getUint32(SETUP + offsets.header, true) === linux.HEADER_MAGIC;
}

/** @throws VmmError `kernel-image` where it is cut short, too old, or contradicts itself. */
export function readBzImage(image: KernelImage): BzImage {
  const truncated = (declared: number) =>
    kernelError(image.path, `is a truncated bzImage: it says it has ${declared} bytes and has ${image.size}`);
  const damaged = (what: string) => kernelError(image.path, `is a damaged bzImage: ${what}`);
  if (image.size < HEADER_END_MAX) throw truncated(HEADER_END_MAX);
  const start = image.read(0, HEADER_END_MAX);
  const bytes = new Uint8Array(start.buffer, start.byteOffset, HEADER_END_MAX);
  const setup = linux.SetupHeader.at(start.buffer, start.byteOffset + SETUP);
  const { version } = setup;
  if (version < OLDEST_VERSION) {
    const found = `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
    throw kernelError(image.path, `speaks boot protocol ${found}; 2.07 (Linux 2.6.24) or newer is needed`);
  }
  if (!(setup.loadflags & linux.LOADED_HIGH)) {
    throw kernelError(image.path, "is a zImage; only bzImages can be started");
  }
  const kernelOffset = ((setup.setup_sects || DEFAULT_SETUP_SECTORS) + 1) * SECTOR;
  const kernelSize = setup.syssize * 16;
  if (kernelOffset + kernelSize > image.size) throw truncated(kernelOffset + kernelSize);
  if (kernelSize === 0) throw damaged("its kernel has 0 bytes");
  if (version >= WITH_PAYLOAD && setup.payload_offset + setup.payload_length > kernelSize) {
    throw damaged("its payload is larger than its kernel");
  }
  const headerEnd = 0x202 + (setup.jump >> 8);
  if (headerEnd > HEADER_END_MAX || headerEnd < SETUP + offsets.hardware_subarch) {
    throw damaged(`its header ends at byte ${headerEnd}`);
  }
  const alignment = setup.kernel_alignment;
  if (setup.relocatable_kernel && (alignment === 0 || (alignment & (alignment - 1)) !== 0)) {
    throw damaged(`its alignment of ${alignment} bytes is no power of two`);
  }
  return {
    version,
    kernelOffset,
    kernelSize,
    header: bytes.slice(SETUP, headerEnd),
    runtime: version >= WITH_INIT_SIZE ? runtimeRange(setup) : undefined,
    initrdLast: setup.initrd_addr_max,
    cmdlineLimit: setup.cmdline_size,
  };
}

/** Where a kernel loaded at LOAD_ADDRESS unpacks itself and runs: boot.rst, `init_size`. */
function runtimeRange(setup: {
  relocatable_kernel: number;
  kernel_alignment: number;
  pref_address: bigint;
  init_size: number;
}): Range {
  const preferred = Number(setup.pref_address);
  const alignment = setup.kernel_alignment;
  const base = setup.relocatable_kernel
    ? Math.ceil(Math.max(LOAD_ADDRESS, preferred) / alignment) * alignment
    : preferred;
  return { base, size: setup.init_size };
}

/** A bzImage boot that was found possible. */
export interface BzImagePlan {
  readonly bzImage: BzImage;
  readonly cmdline: Uint8Array;
  readonly initrd: Range | undefined;
}

/** Checks the kernel, its command line and its initrd against each other and the RAM. Reads only headers. */
export function planBzImage(image: KernelImage, request: BootRequest, ram: BootRam): BzImagePlan {
  const bzImage = readBzImage(image);
  const { kernelSize, runtime, initrdLast, cmdlineLimit } = bzImage;
  checkKernelRange(image.path, { base: LOAD_ADDRESS, size: kernelSize }, ram);
  if (runtime) checkKernelRange(image.path, runtime, ram);
  const cmdline = encodeCmdline(image.path, request.cmdline, cmdlineLimit);
  const runtimeEnd = runtime ? runtime.base + runtime.size : 0;
  const where = { floor: Math.max(LOAD_ADDRESS + kernelSize, runtimeEnd), last: initrdLast };
  return { bzImage, cmdline, initrd: request.initrd && placeInitrd(request.initrd, where, ram) };
}

/** Loads the kernel. Nothing is written to guest memory before all is checked. */
export function loadBzImage(files: KernelFiles, request: BootRequest, info: BootInfo): VcpuEntry {
  const { bzImage, cmdline, initrd } = planBzImage(imageOf(files.path, files.kernel), request, info);
  const params = bootParams(files, bzImage, initrd, info);
  const { kernelOffset, kernelSize } = bzImage;
  writeGuest(info.memory, LOAD_ADDRESS, files.kernel.subarray(kernelOffset, kernelOffset + kernelSize));
  if (initrd && files.initrd) writeGuest(info.memory, initrd.base, files.initrd.bytes);
  writeGuest(info.memory, CMDLINE, cmdline);
  writeGuest(info.memory, BOOT_PARAMS, params);
  return { eip: LOAD_ADDRESS, esi: BOOT_PARAMS };
}

/** The zero page. */
function bootParams(
  files: KernelFiles,
  { header }: BzImage,
  initrd: Range | undefined,
  { memoryMap, rsdp }: BootInfo,
): Uint8Array {
  const params = linux.BootParams.alloc();
  params.$bytes.set(header, SETUP);
  const { hdr } = params;
  hdr.type_of_loader = linux.LOADER_UNDEFINED;
  hdr.loadflags |= linux.KEEP_SEGMENTS;
  hdr.vid_mode = linux.VIDEO_NORMAL;
  hdr.code32_start = LOAD_ADDRESS;
  hdr.cmd_line_ptr = CMDLINE;
  hdr.ramdisk_image = initrd?.base ?? 0;
  hdr.ramdisk_size = initrd?.size ?? 0;
  params.acpi_rsdp_addr = BigInt(rsdp);
  if (memoryMap.length > linux.E820_MAX_ENTRIES_ZEROPAGE) {
    throw kernelError(files.path, `the memory map has more than ${linux.E820_MAX_ENTRIES_ZEROPAGE} entries`);
  }
  params.e820_entries = memoryMap.length;
  memoryMap.forEach(({ base, size, type }, i) => {
    const entry = linux.BootE820Entry.of({ addr: BigInt(base), size: BigInt(size), type });
    params.e820_table.set(i, entry);
  });
  return params.$bytes;
}
