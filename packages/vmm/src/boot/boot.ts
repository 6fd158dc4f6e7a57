/**
 * What a boot loader gives and gets. A loader puts the guest's first code and what it wants to know into RAM and says how
 * the boot processor starts; it knows nothing of accelerators.
 */
import type { GuestMemory } from "../memory/guest-memory.ts";

/** A range of the guest's physical address map, as e820 and the PVH memory map give it. */
export interface MemoryMapEntry {
  readonly base: number;
  readonly size: number;
  /** 1 RAM, 2 reserved, 3 ACPI tables. */
  readonly type: 1 | 2 | 3;
}

/** What the machine tells a loader. */
export interface BootInfo {
  readonly memory: GuestMemory;
  readonly memoryMap: readonly MemoryMapEntry[];
  /** End of the RAM below 4 GiB, in bytes. */
  readonly lowRamEnd: number;
  /** Guest-physical address of the ACPI RSDP. */
  readonly rsdp: number;
  /** Number of vCPUs; APIC ids are 0 .. cpus-1. */
  readonly cpus: number;
}

/** The kernel, its initrd and command line, as read from files. */
export interface KernelFiles {
  /** The kernel's path, for messages. */
  readonly path: string;
  readonly kernel: Uint8Array;
  readonly initrd?: { path: string; bytes: Uint8Array };
  readonly cmdline: string;
}

/**
 * How the boot processor starts: 32-bit protected mode without paging, flat segments of 4 GiB at base 0 (code 0x08,
 * data 0x10), interrupts off, all registers 0 but for these.
 */
export interface VcpuEntry {
  readonly eip: number;
  readonly ebx?: number;
  readonly esi?: number;
  readonly esp?: number;
}
