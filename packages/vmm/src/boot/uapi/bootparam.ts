/** What a Linux boot loader fills in: `asm/bootparam.h` and the kernel's Documentation/arch/x86/boot.rst. */
import { array, bytes, struct, u8, u16, u32, u64 } from "@vmm/libc";

/** The header of a bzImage, at {@link SETUP_HEADER_OFFSET} of the file and of the boot parameters. */
export const SetupHeader = struct(
  "setup_header",
  {
    /** Sectors of 512 bytes after the boot sector, before the kernel proper. */
    setup_sects: u8,
    root_flags: u16,
    /** Size of the kernel proper in units of 16 bytes. */
    syssize: u32,
    ram_size: u16,
    vid_mode: u16,
    root_dev: u16,
    boot_flag: u16,
    /** A short jump over the header: its second byte says where the header ends. */
    jump: u16,
    header: u32,
    version: u16,
    realmode_swtch: u32,
    start_sys_seg: u16,
    kernel_version: u16,
    type_of_loader: u8,
    loadflags: u8,
    setup_move_size: u16,
    code32_start: u32,
    ramdisk_image: u32,
    ramdisk_size: u32,
    bootsect_kludge: u32,
    heap_end_ptr: u16,
    ext_loader_ver: u8,
    ext_loader_type: u8,
    cmd_line_ptr: u32,
    /** The highest address that the initrd's last byte may have. */
    initrd_addr_max: u32,
    kernel_alignment: u32,
    relocatable_kernel: u8,
    min_alignment: u8,
    xloadflags: u16,
    /** The longest command line in bytes, without the zero at its end. */
    cmdline_size: u32,
    hardware_subarch: u32,
    hardware_subarch_data: u64,
    payload_offset: u32,
    payload_length: u32,
    setup_data: u64,
    /** Where the kernel would like to run. */
    pref_address: u64,
    /** Memory that the kernel needs from there on until it knows the memory map, in bytes. */
    init_size: u32,
    handover_offset: u32,
    kernel_info_offset: u32,
  },
  { packed: true },
);

export const BootE820Entry = struct("boot_e820_entry", { addr: u64, size: u64, type: u32 }, { packed: true });

/** Entries that the boot parameters have room for. */
export const E820_MAX_ENTRIES_ZEROPAGE = 128;

/** The "zero page": what the loader tells the kernel, in 4096 bytes. Only the parts that are set here have names. */
export const BootParams = struct(
  "boot_params",
  {
    screen_info: bytes(0x40),
    _apm_and_ist: bytes(0x30),
    acpi_rsdp_addr: u64,
    _to_e820_entries: bytes(0x1e8 - 0x78),
    e820_entries: u8,
    _to_sentinel: bytes(6),
    sentinel: u8,
    _pad6: u8,
    hdr: SetupHeader.type,
    _pad7: bytes(0x290 - 0x1f1 - SetupHeader.size),
    edd_mbr_sig_buffer: array(u32, 16),
    e820_table: array(BootE820Entry.type, E820_MAX_ENTRIES_ZEROPAGE),
  },
  { packed: true, size: 4096 },
);

/** Where the setup header begins in the file. */
export const SETUP_HEADER_OFFSET = 0x1f1;
/** `boot_flag`, the signature of a boot sector. */
export const BOOT_FLAG = 0xaa55;
/** `header`: "HdrS". */
export const HEADER_MAGIC = 0x53726448;

/* `loadflags`. */
/** The kernel proper is loaded at 1 MiB: a bzImage. */
export const LOADED_HIGH = 1 << 0;
/** The 32-bit entry leaves the segment registers as they are, so it needs no descriptor table of the loader's. */
export const KEEP_SEGMENTS = 1 << 6;

/** `type_of_loader`: one without an assigned number. */
export const LOADER_UNDEFINED = 0xff;
/** `vid_mode`: as the firmware left it. */
export const VIDEO_NORMAL = 0xffff;
