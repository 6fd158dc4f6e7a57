/** ELF file structures and constants, as `elf.h` has them. */
import { bytes, struct, u16, u32, u64 } from "@vmm/libc";

const IDENT = 16;

export const Elf32Ehdr = struct("Elf32_Ehdr", {
  e_ident: bytes(IDENT),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: u32,
  e_phoff: u32,
  e_shoff: u32,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});

export const Elf64Ehdr = struct("Elf64_Ehdr", {
  e_ident: bytes(IDENT),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: u64,
  e_phoff: u64,
  e_shoff: u64,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});

export const Elf32Phdr = struct("Elf32_Phdr", {
  p_type: u32,
  p_offset: u32,
  p_vaddr: u32,
  p_paddr: u32,
  p_filesz: u32,
  p_memsz: u32,
  p_flags: u32,
  p_align: u32,
});

export const Elf64Phdr = struct("Elf64_Phdr", {
  p_type: u32,
  p_flags: u32,
  p_offset: u64,
  p_vaddr: u64,
  p_paddr: u64,
  p_filesz: u64,
  p_memsz: u64,
  p_align: u64,
});

/** Precedes a note's name and description, which are padded to the segment's alignment. */
export const ElfNhdr = struct("Elf64_Nhdr", { n_namesz: u32, n_descsz: u32, n_type: u32 });

/** Offsets in `e_ident`. */
export const EI_CLASS = 4;
export const EI_DATA = 5;

export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const ET_EXEC = 2;
export const ET_DYN = 3;
export const EM_386 = 3;
export const EM_X86_64 = 62;
export const PT_LOAD = 1;
export const PT_NOTE = 4;
