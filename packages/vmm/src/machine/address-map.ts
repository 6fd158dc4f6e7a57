/**
 * The guest-physical address map of a PC: where RAM lies, and what the guest is told of it.
 *
 * | from | to | what |
 * |---|---|---|
 * | 0 | 0x9ffff | RAM |
 * | 0xa0000 | 0xdffff | nothing (VGA and option ROMs of a PC) |
 * | 0xe0000 | 0xfffff | ROM: ACPI tables |
 * | 0x100000 | up to 3 GiB | RAM |
 * | 3 GiB | 4 GiB | devices: PCI windows, IOAPIC, LAPIC |
 * | 4 GiB | | the rest of the RAM |
 */
import type { MemoryMapEntry } from "../boot/boot.ts";

const GIB = 2 ** 30;
const PAGE = 4096;

/** End of the RAM below 4 GiB, at the most. */
export const LOW_RAM_LIMIT = 3 * GIB;
export const HIGH_RAM_BASE = 4 * GIB;
const VGA_HOLE = 0xa0000;
const ONE_MIB = 0x100000;

/** Where the ACPI tables lie. */
export const ROM_BASE = 0xe0000;
export const ROM_SIZE = 0x20000;
/** Id of the memory backend of the ROM. */
export const ROM_BACKEND = "pc.rom";

/** A part of a backend and where the guest sees it. */
export interface RamRange {
  readonly gpa: number;
  readonly size: number;
  /** Bytes from the start of the backend. */
  readonly offset: number;
}

/** The least RAM that a guest can have, in bytes. */
export const MIN_RAM = 2 << 20;

/** Where the `size` bytes of the RAM backend go. What lies behind the hole below 1 MiB is not used. */
export function ramRanges(size: number): RamRange[] {
  const low = Math.min(size, LOW_RAM_LIMIT);
  const ranges: RamRange[] = [
    { gpa: 0, size: VGA_HOLE, offset: 0 },
    { gpa: ONE_MIB, size: low - ONE_MIB, offset: ONE_MIB },
  ];
  if (size > low) ranges.push({ gpa: HIGH_RAM_BASE, size: size - low, offset: low });
  return ranges;
}

/** What the guest's firmware tables say of memory (e820). */
export function memoryMap(ramSize: number): MemoryMapEntry[] {
  const entries: MemoryMapEntry[] = [];
  for (const { gpa, size } of ramRanges(ramSize)) entries.push({ base: gpa, size, type: 1 });
  entries.push({ base: ROM_BASE, size: ROM_SIZE, type: 2 });
  return entries.sort((a, b) => a.base - b.base);
}

/** RAM sizes are whole pages. */
export const roundToPage = (size: number): number => Math.ceil(size / PAGE) * PAGE;
