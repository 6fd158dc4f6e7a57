/**
 * Where boot data goes in guest RAM. Below 640 KiB, out of the way of kernels, which load at 1 MiB or above:
 *
 * | from | bytes | what |
 * |---|---|---|
 * | 0x6000 | 4 KiB | PVH: start info, module list, memory map |
 * | 0x7000 | 4 KiB | bzImage: boot parameters |
 * | 0x20000 | 64 KiB | the command line |
 *
 * The initrd goes as high as the kernel allows, below 4 GiB.
 */
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { BootInfo } from "./boot.ts";
import { imageError, kernelError } from "./kernel-image.ts";

export const START_INFO = 0x6000;
export const BOOT_PARAMS = 0x7000;
export const CMDLINE = 0x20000;
export const CMDLINE_ROOM = 0x10000;

const PAGE = 4096;
const MIB = 1 << 20;
const BOOT_DATA: readonly Range[] = [
  { base: START_INFO, size: BOOT_PARAMS + PAGE - START_INFO },
  { base: CMDLINE, size: CMDLINE_ROOM },
];

/** The part of a machine's memory map that says where a kernel can go. */
export type BootRam = Pick<BootInfo, "memoryMap" | "lowRamEnd">;

/** What is to be booted beside the kernel, before the initrd itself is at hand. */
export interface BootRequest {
  readonly cmdline: string;
  readonly initrd?: { readonly path: string; readonly size: number };
}

/** Guest-physical addresses. */
export interface Range {
  readonly base: number;
  readonly size: number;
}

export const hex = (value: number): string => `0x${value.toString(16)}`;
const overlap = (a: Range, b: Range): boolean => a.base < b.base + b.size && b.base < a.base + a.size;
const inMib = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`;

/** Whether the whole range is RAM, in one piece. */
export function isRam({ base, size }: Range, { memoryMap }: Pick<BootInfo, "memoryMap">): boolean {
  return memoryMap.some((e) => e.type === 1 && base >= e.base && base + size <= e.base + e.size);
}

/** @throws VmmError where a part of the kernel would lie outside RAM or on boot data. */
export function checkKernelRange(path: string, range: Range, ram: BootRam): void {
  const { base, size } = range;
  if (!isRam(range, ram)) {
    const end = inMib(ram.lowRamEnd);
    throw kernelError(
      path,
      `does not fit in RAM: it needs ${hex(base)}..${hex(base + size)} and RAM ends at ${end}; give the VM more`,
    );
  }
  if (BOOT_DATA.some((data) => overlap(range, data))) {
    throw kernelError(
      path,
      `loads at ${hex(base)}, where its boot data goes; it must load at 1 MiB or above`,
    );
  }
}

/** The command line as the guest gets it, with its zero. @throws VmmError where it is too long or holds a zero. */
export function encodeCmdline(path: string, cmdline: string, limit: number): Uint8Array {
  const text = new TextEncoder().encode(`${cmdline}\0`);
  const length = text.length - 1;
  const most = Math.min(limit, CMDLINE_ROOM - 1);
  if (length > most) {
    throw kernelError(path, `the command line has ${length} bytes; this kernel takes at most ${most}`);
  }
  if (text.indexOf(0) < length) throw kernelError(path, "the command line contains a NUL character");
  return text;
}

/**
 * The highest page-aligned place for the initrd.
 *
 * @param floor End of the kernel: the initrd goes above.
 * @param last The highest address that its last byte may have.
 */
export function placeInitrd(
  { path, size }: { path: string; size: number },
  { floor, last }: { floor: number; last: number },
  ram: BootRam,
): Range {
  const limit = Math.min(ram.lowRamEnd, last + 1);
  let best = -1;
  let room = 0;
  for (const entry of ram.memoryMap) {
    if (entry.type !== 1) continue;
    const from = Math.max(entry.base, floor);
    const to = Math.min(entry.base + entry.size, limit);
    room = Math.max(room, to - from);
    const base = Math.floor((to - size) / PAGE) * PAGE;
    if (base >= from) best = Math.max(best, base);
  }
  if (best >= 0) return { base: best, size };
  throw imageError(
    "initrd",
    path,
    `does not fit: it has ${size} bytes and RAM has room for ${room}; give the VM more`,
  );
}

/** Bytes that are written or zeroed at a time: a view of guest memory has its limit. */
const CHUNK = 256 * MIB;

export function writeGuest(memory: GuestMemory, base: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += CHUNK) memory.write(base + at, bytes.subarray(at, at + CHUNK));
}

export function zeroGuest(memory: GuestMemory, base: number, size: number): void {
  for (let at = 0; at < size; at += CHUNK) memory.view(base + at, Math.min(CHUNK, size - at)).fill(0);
}
