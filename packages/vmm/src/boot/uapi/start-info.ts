/** What a PVH guest is given: Xen's public `arch-x86/hvm/start_info.h` and `elfnote.h`. All addresses are physical. */
import { struct, u32, u64 } from "@vmm/libc";

export const HvmStartInfo = struct("hvm_start_info", {
  magic: u32,
  version: u32,
  flags: u32,
  nr_modules: u32,
  modlist_paddr: u64,
  cmdline_paddr: u64,
  rsdp_paddr: u64,
  memmap_paddr: u64,
  memmap_entries: u32,
  reserved: u32,
});

export const HvmModlistEntry = struct("hvm_modlist_entry", {
  paddr: u64,
  size: u64,
  cmdline_paddr: u64,
  reserved: u64,
});

export const HvmMemmapTableEntry = struct("hvm_memmap_table_entry", {
  addr: u64,
  size: u64,
  type: u32,
  reserved: u32,
});

export const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;
/** The first version with a memory map. */
export const START_INFO_VERSION = 1;

/** The note that holds the physical address of the 32-bit entry point, under the name "Xen". */
export const XEN_ELFNOTE_PHYS32_ENTRY = 18;
