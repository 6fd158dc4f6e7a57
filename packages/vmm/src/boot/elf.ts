/** Kernels as ELF files: which parts go where in physical memory, and the PVH entry point. Checks all it reads. */
import { type KernelImage, kernelError } from "./kernel-image.ts";
import { hex } from "./placement.ts";
import * as elf from "./uapi/elf.ts";
import { XEN_ELFNOTE_PHYS32_ENTRY } from "./uapi/start-info.ts";

/** A part of the file that is loaded. */
export interface ElfSegment {
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly fileSize: number;
  /** Guest-physical address. */
  readonly address: number;
  /** Bytes in memory: those beyond `fileSize` are zero. */
  readonly memorySize: number;
}

export interface ElfKernel {
  readonly bits: 32 | 64;
  /** At least one. */
  readonly segments: readonly ElfSegment[];
  /** Guest-physical address of the 32-bit entry point. */
  readonly pvhEntry: number;
}

/** A program header whose bytes are in the file. */
interface ProgramHeader extends ElfSegment {
  readonly type: number;
  readonly align: number;
}

const MAGIC = 0x464c457f;
/** Bytes of notes that are looked at. */
const MAX_NOTES = 1 << 20;

/** Machines that users may have kernels for, by `e_machine`. */
const MACHINES: Record<number, string> = {
  8: "MIPS",
  20: "PowerPC",
  21: "PowerPC",
  22: "S390",
  40: "ARM",
  183: "AArch64",
  243: "RISC-V",
  258: "LoongArch",
};

export const isElf = (image: KernelImage): boolean =>
  image.size >= 4 && image.read(0, 4).getUint32(0, true) === MAGIC;

/** @throws VmmError `kernel-image` where it is cut short, is no x86 kernel, or has no PVH note. */
export function readElf(image: KernelImage): ElfKernel {
  const { bits, headers } = readHeaders(image);
  const segments = headers.filter((h) => h.type === elf.PT_LOAD && h.memorySize > 0);
  if (segments.length === 0) throw kernelError(image.path, "is an ELF file in which nothing is to be loaded");
  for (const { offset, fileSize, memorySize } of segments) {
    if (fileSize <= memorySize) continue;
    const sizes = `${fileSize} bytes in the file and ${memorySize} in memory`;
    throw kernelError(image.path, `is a damaged ELF file: its segment at ${hex(offset)} has ${sizes}`);
  }
  const sorted = segments.toSorted((a, b) => a.address - b.address);
  for (const [i, { address }] of sorted.entries()) {
    const before = sorted[i - 1];
    if (!before || before.address + before.memorySize <= address) continue;
    throw kernelError(image.path, `is a damaged ELF file: two of its segments lie at ${hex(address)}`);
  }
  const pvhEntry = findPvhEntry(image, headers);
  const isLoaded = segments.some((s) => pvhEntry >= s.address && pvhEntry < s.address + s.memorySize);
  if (!isLoaded) throw kernelError(image.path, `its PVH entry point ${hex(pvhEntry)} is in no segment`);
  return { bits, segments, pvhEntry };
}

function readHeaders(image: KernelImage): { bits: 32 | 64; headers: ProgramHeader[] } {
  const need = (end: number, what: string) => {
    if (end <= image.size) return;
    const sizes = `${what} ends at byte ${end} of a file of ${image.size}`;
    throw kernelError(image.path, `is a truncated ELF file: ${sizes}`);
  };
  need(elf.Elf32Ehdr.size, "its header");
  const ident = image.read(0, elf.Elf32Ehdr.size);
  const fileClass = ident.getUint8(elf.EI_CLASS);
  if (ident.getUint8(elf.EI_DATA) !== elf.ELFDATA2LSB) throw notForX86(image, "big-endian");
  if (fileClass !== elf.ELFCLASS32 && fileClass !== elf.ELFCLASS64) {
    throw kernelError(image.path, `is a damaged ELF file: of class ${fileClass}`);
  }
  const bits = fileClass === elf.ELFCLASS64 ? 64 : 32;
  const [Ehdr, Phdr] = bits === 64 ? [elf.Elf64Ehdr, elf.Elf64Phdr] : [elf.Elf32Ehdr, elf.Elf32Phdr];
  need(Ehdr.size, "its header");
  const header = Ehdr.at(...place(image.read(0, Ehdr.size)));
  checkKind(image, header);

  const count = header.e_phnum;
  const step = header.e_phentsize;
  if (count > 0 && step < Phdr.size) {
    throw kernelError(image.path, `is a damaged ELF file: its program headers have ${step} bytes`);
  }
  const start = Number(header.e_phoff);
  need(start + count * step, "its program header table");
  const table = image.read(start, count * step);
  const headers = Array.from({ length: count }, (_, i) => {
    const p = Phdr.at(table.buffer, table.byteOffset + i * step);
    return {
      type: p.p_type,
      offset: Number(p.p_offset),
      fileSize: Number(p.p_filesz),
      address: Number(p.p_paddr),
      memorySize: Number(p.p_memsz),
      align: Number(p.p_align),
    };
  }).filter((h) => h.type === elf.PT_LOAD || h.type === elf.PT_NOTE);
  for (const h of headers) need(h.offset + h.fileSize, `its segment at ${hex(h.offset)}`);
  return { bits, headers };
}

const place = (view: DataView): [ArrayBufferLike, number] => [view.buffer, view.byteOffset];

function notForX86(image: KernelImage, machine: string): Error {
  return kernelError(image.path, `is a kernel for another machine (${machine}); this VM is x86`);
}

function checkKind(image: KernelImage, { e_machine, e_type }: { e_machine: number; e_type: number }): void {
  if (e_machine !== elf.EM_X86_64 && e_machine !== elf.EM_386) {
    throw notForX86(image, MACHINES[e_machine] ?? `ELF machine ${e_machine}`);
  }
  if (e_type !== elf.ET_EXEC && e_type !== elf.ET_DYN) {
    throw kernelError(
      image.path,
      `is an ELF file of type ${e_type}, not an executable: give the linked kernel, vmlinux`,
    );
  }
}

/** The 32-bit entry point, from the note that Xen defined for it. */
function findPvhEntry(image: KernelImage, headers: readonly ProgramHeader[]): number {
  for (const { type, offset, fileSize, align } of headers) {
    if (type !== elf.PT_NOTE) continue;
    const entry = pvhEntryIn(image.read(offset, Math.min(fileSize, MAX_NOTES)), align === 8 ? 8 : 4);
    if (entry !== undefined) return entry;
  }
  throw kernelError(
    image.path,
    "has no PVH note, so it cannot be started directly: build it with CONFIG_PVH=y, or give its bzImage",
  );
}

function pvhEntryIn(notes: DataView, align: number): number | undefined {
  const padded = (size: number) => Math.ceil(size / align) * align;
  const { size: headerSize, at: noteAt } = elf.ElfNhdr;
  for (let at = 0; at + headerSize <= notes.byteLength; ) {
    const { n_namesz, n_descsz, n_type } = noteAt(notes.buffer, notes.byteOffset + at);
    const name = at + headerSize;
    const description = name + padded(n_namesz);
    if (description + n_descsz > notes.byteLength) return undefined;
    const isXen = n_namesz === 4 && notes.getUint32(name, true) === XEN_NAME;
    if (isXen && n_type === XEN_ELFNOTE_PHYS32_ENTRY && (n_descsz === 4 || n_descsz === 8)) {
      return n_descsz === 4
        ? notes.getUint32(description, true)
        : Number(notes.getBigUint64(description, true));
    }
    at = description + padded(n_descsz);
  }
  return undefined;
}

/** "Xen" and its zero. */
const XEN_NAME = 0x006e6558;
