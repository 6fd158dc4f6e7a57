/**
 * Kernel files made from the heartbeat guest, for tests of what loads them: a small program at 1 MiB checks what it was
 * given, copies the guest down to where it belongs and enters it.
 */
import { Assembler, by, ebx, ecx, edi, esi } from "../src/boot/asm-x86.ts";
import { DATA } from "../src/boot/heartbeat/map.ts";
import { type HeartbeatPorts, loadHeartbeat } from "../src/boot/heartbeat.ts";
import * as linux from "../src/boot/uapi/bootparam.ts";
import * as elf from "../src/boot/uapi/elf.ts";
import { ElfNhdr } from "../src/boot/uapi/elf.ts";
import * as xen from "../src/boot/uapi/start-info.ts";
import { plainMemory } from "./plain-memory.ts";

const MIB = 1 << 20;
/** Guest-physical address of the programs. */
export const LOAD_ADDRESS = MIB;

/** The heartbeat guest as it lies in RAM from DATA.start on, and its entry. */
function heartbeatInRam(ports: HeartbeatPorts): { bytes: Uint8Array; entry: number } {
  using ram = plainMemory([{ gpa: 0, size: 0x10000 }]);
  const memoryMap = [{ base: 0, size: 0x10000, type: 1 as const }];
  const info = { memory: ram.memory, memoryMap, lowRamEnd: 0x10000, rsdp: 0, cpus: 1 };
  const { eip } = loadHeartbeat(info, ports);
  const bytes = ram.memory.view(DATA.start, 0x10000 - DATA.start);
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  return { bytes: bytes.slice(0, Math.ceil(end / 4) * 4), entry: eip };
}

/** The program: goes on only where `[register + offset]` is `magic`, and hangs otherwise. */
function relocator(ports: HeartbeatPorts, expected: "pvh" | "linux"): Uint8Array {
  const guest = heartbeatInRam(ports);
  const a = new Assembler(LOAD_ADDRESS);
  if (expected === "pvh") a.cmp(by(ebx), xen.XEN_HVM_START_MAGIC_VALUE);
  else a.cmp(by(esi, linux.SETUP_HEADER_OFFSET + linux.SetupHeader.offsets.header), linux.HEADER_MAGIC);
  a.jumpIf("equal", "as told");
  a.label("hang");
  a.cli();
  a.hlt();
  a.jump("hang");
  a.label("as told");
  a.cld();
  a.mov(esi, "guest");
  a.mov(edi, DATA.start);
  a.mov(ecx, guest.bytes.length / 4);
  a.byte(0xf3, 0xa5); // rep movsd
  a.mov(ecx, guest.entry);
  a.jumpTo(ecx);
  a.label("guest");
  a.byte(...guest.bytes);
  return a.assemble();
}

export interface ElfParts {
  readonly bits: 32 | 64;
  /** What is loaded; its start is also the entry. */
  readonly code: Uint8Array;
  /** Guest-physical address of the code, {@link LOAD_ADDRESS} where left out. */
  readonly address?: number;
  /** Bytes in memory beyond the code. */
  readonly bss?: number;
  /** A note before the PVH one, for readers to step over: of the same type and another owner. */
  readonly otherNote?: boolean;
}

/** An ELF executable with one loaded segment and a PVH note. */
export function elfFile(parts: ElfParts): Uint8Array<ArrayBuffer> {
  const { bits, code, address = LOAD_ADDRESS, bss = 0, otherNote = false } = parts;
  const Ehdr = bits === 64 ? elf.Elf64Ehdr : elf.Elf32Ehdr;
  const Phdr = bits === 64 ? elf.Elf64Phdr : elf.Elf32Phdr;
  const noteOffset = Ehdr.size + 2 * Phdr.size;
  const note = notes(bits, address, otherNote);
  const codeOffset = noteOffset + note.length;
  const file = new Uint8Array(codeOffset + code.length);
  // The two classes differ in the type of their addresses, number or bigint, and in nothing else that is set here.
  const word = (value: number) => (bits === 64 ? BigInt(value) : value) as never;
  const header = Ehdr.at(file.buffer);
  header.e_ident = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, bits / 32, elf.ELFDATA2LSB, 1);
  header.e_type = elf.ET_EXEC;
  header.e_machine = bits === 64 ? elf.EM_X86_64 : elf.EM_386;
  header.e_version = 1;
  header.e_phoff = word(Ehdr.size);
  header.e_ehsize = Ehdr.size;
  header.e_phentsize = Phdr.size;
  header.e_phnum = 2;
  const segment = (index: number, type: number, offset: number, bytes: Uint8Array, extra = 0) => {
    const p = Phdr.at(file.buffer, Ehdr.size + index * Phdr.size);
    p.p_type = type;
    p.p_offset = word(offset);
    p.p_paddr = word(type === elf.PT_LOAD ? address : 0);
    p.p_filesz = word(bytes.length);
    p.p_memsz = word(bytes.length + extra);
    p.p_align = word(4);
    file.set(bytes, offset);
  };
  segment(0, elf.PT_NOTE, noteOffset, note);
  segment(1, elf.PT_LOAD, codeOffset, code, bss);
  return file;
}

function notes(bits: 32 | 64, entry: number, otherNote: boolean): Uint8Array {
  const note = (name: string, description: Uint8Array) => {
    const header = ElfNhdr.of({
      n_namesz: name.length + 1,
      n_descsz: description.length,
      n_type: xen.XEN_ELFNOTE_PHYS32_ENTRY,
    });
    const padded = Math.ceil((name.length + 1) / 4) * 4;
    const bytes = new Uint8Array(ElfNhdr.size + padded + Math.ceil(description.length / 4) * 4);
    bytes.set(header.$bytes);
    bytes.set(new TextEncoder().encode(name), ElfNhdr.size);
    bytes.set(description, ElfNhdr.size + padded);
    return bytes;
  };
  const address = new Uint8Array(bits / 8);
  new DataView(address.buffer).setUint32(0, entry, true);
  const other = otherNote ? note("Other", Uint8Array.of(1, 2, 3)) : [];
  return Uint8Array.from([...other, ...note("Xen", address)]);
}

export interface BzImageParts {
  /** What is loaded at 1 MiB and entered there. */
  readonly code: Uint8Array;
  /** Fields of the setup header that differ from a good one's. */
  readonly header?: Partial<ReturnType<typeof linux.SetupHeader.alloc>>;
}

/** A bzImage of boot protocol 2.15 with four setup sectors. */
export function bzImageFile({ code, header = {} }: BzImageParts): Uint8Array<ArrayBuffer> {
  const setupSize = 5 * 512;
  const kernelSize = Math.ceil(code.length / 16) * 16;
  const file = new Uint8Array(setupSize + kernelSize);
  const setup = linux.SetupHeader.at(file.buffer, linux.SETUP_HEADER_OFFSET);
  Object.assign(setup, {
    setup_sects: 4,
    syssize: kernelSize / 16,
    boot_flag: linux.BOOT_FLAG,
    jump: 0x6aeb, // to the end of the header, as Linux 7 has it
    header: linux.HEADER_MAGIC,
    version: 0x20f,
    loadflags: linux.LOADED_HIGH,
    code32_start: LOAD_ADDRESS,
    initrd_addr_max: 0x7fffffff,
    kernel_alignment: 0x100000,
    relocatable_kernel: 1,
    cmdline_size: 2047,
    payload_length: kernelSize,
    pref_address: BigInt(LOAD_ADDRESS),
    init_size: 0x100000,
    ...header,
  });
  file.set(code, setupSize);
  return file;
}

/** The heartbeat guest as a PVH kernel. */
export const heartbeatElf = (bits: 32 | 64, ports: HeartbeatPorts): Uint8Array =>
  elfFile({ bits, code: relocator(ports, "pvh") });

/** The heartbeat guest as a bzImage. */
export const heartbeatBzImage = (ports: HeartbeatPorts): Uint8Array =>
  bzImageFile({ code: relocator(ports, "linux") });
