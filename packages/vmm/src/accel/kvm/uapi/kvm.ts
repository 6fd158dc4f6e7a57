/** KVM's interface: request numbers, structures and constants of `linux/kvm.h` and `asm/kvm.h` (x86-64). */
import { _IO, _IOR, _IOW, _IOWR, array, bytes, struct, u8, u16, u32, u64 } from "@vmm/libc";

const KVMIO = 0xae;

export const KvmUserspaceMemoryRegion = struct("kvm_userspace_memory_region", {
  slot: u32,
  flags: u32,
  guest_phys_addr: u64,
  memory_size: u64,
  userspace_addr: u64,
});

export const KvmPitConfig = struct("kvm_pit_config", { flags: u32, pad: array(u32, 15) });

export const KvmRegs = struct("kvm_regs", {
  rax: u64,
  rbx: u64,
  rcx: u64,
  rdx: u64,
  rsi: u64,
  rdi: u64,
  rsp: u64,
  rbp: u64,
  r8: u64,
  r9: u64,
  r10: u64,
  r11: u64,
  r12: u64,
  r13: u64,
  r14: u64,
  r15: u64,
  rip: u64,
  rflags: u64,
});

export const KvmSegment = struct("kvm_segment", {
  base: u64,
  limit: u32,
  selector: u16,
  type: u8,
  present: u8,
  dpl: u8,
  db: u8,
  s: u8,
  l: u8,
  g: u8,
  avl: u8,
  unusable: u8,
  padding: u8,
});

export const KvmDtable = struct("kvm_dtable", { base: u64, limit: u16, padding: array(u16, 3) });

export const KvmSregs2 = struct("kvm_sregs2", {
  cs: KvmSegment.type,
  ds: KvmSegment.type,
  es: KvmSegment.type,
  fs: KvmSegment.type,
  gs: KvmSegment.type,
  ss: KvmSegment.type,
  tr: KvmSegment.type,
  ldt: KvmSegment.type,
  gdt: KvmDtable.type,
  idt: KvmDtable.type,
  cr0: u64,
  cr2: u64,
  cr3: u64,
  cr4: u64,
  cr8: u64,
  efer: u64,
  apic_base: u64,
  flags: u64,
  pdptrs: array(u64, 4),
});

export const KvmXcr = struct("kvm_xcr", { xcr: u32, reserved: u32, value: u64 });

export const KvmXcrs = struct("kvm_xcrs", {
  nr_xcrs: u32,
  flags: u32,
  xcrs: array(KvmXcr.type, 16),
  padding: array(u64, 16),
});

export const KvmDebugregs = struct("kvm_debugregs", {
  db: array(u64, 4),
  dr6: u64,
  dr7: u64,
  flags: u64,
  reserved: array(u64, 9),
});

export const KvmLapicState = struct("kvm_lapic_state", { regs: bytes(1024) });

export const KvmMpState = struct("kvm_mp_state", { mp_state: u32 });

/** Exception, interrupt, NMI, SMI and triple fault that wait for delivery. */
export const KvmVcpuEvents = struct("kvm_vcpu_events", {
  exception_injected: u8,
  exception_nr: u8,
  exception_has_error_code: u8,
  exception_pending: u8,
  exception_error_code: u32,
  interrupt_injected: u8,
  interrupt_nr: u8,
  interrupt_soft: u8,
  interrupt_shadow: u8,
  nmi_injected: u8,
  nmi_pending: u8,
  nmi_masked: u8,
  nmi_pad: u8,
  sipi_vector: u32,
  flags: u32,
  smi_smm: u8,
  smi_pending: u8,
  smi_smm_inside_nmi: u8,
  smi_latched_init: u8,
  triple_fault_pending: u8,
  reserved: bytes(26),
  exception_has_payload: u8,
  exception_payload: u64,
});

/** The head of `kvm_msrs`; `nmsrs` entries follow. */
export const KvmMsrs = struct("kvm_msrs", { nmsrs: u32, pad: u32 });
export const KvmMsrEntry = struct("kvm_msr_entry", { index: u32, reserved: u32, data: u64 });
/** The head of `kvm_msr_list`; `nmsrs` u32 indices follow. */
export const KvmMsrList = struct("kvm_msr_list", { nmsrs: u32 });

/** The head of `kvm_cpuid2`; `nent` entries follow. */
export const KvmCpuid2 = struct("kvm_cpuid2", { nent: u32, padding: u32 });
export const KvmCpuidEntry2 = struct("kvm_cpuid_entry2", {
  function: u32,
  index: u32,
  flags: u32,
  eax: u32,
  ebx: u32,
  ecx: u32,
  edx: u32,
  padding: array(u32, 3),
});

/** PIC master (0), PIC slave (1) or IOAPIC (2). */
export const KvmIrqchip = struct("kvm_irqchip", { chip_id: u32, pad: u32, chip: bytes(512) });

export const KvmPitChannelState = struct("kvm_pit_channel_state", {
  count: u32,
  latched_count: u16,
  count_latched: u8,
  status_latched: u8,
  status: u8,
  read_state: u8,
  write_state: u8,
  write_latch: u8,
  rw_mode: u8,
  mode: u8,
  bcd: u8,
  gate: u8,
  /** CLOCK_MONOTONIC in ns: kept as it is, since a live update stays on the same host. 0 for channel 0. */
  count_load_time: u64,
});

export const KvmPitState2 = struct("kvm_pit_state2", {
  channels: array(KvmPitChannelState.type, 3),
  flags: u32,
  reserved: array(u32, 9),
});

export const KvmClockData = struct("kvm_clock_data", {
  clock: u64,
  flags: u32,
  pad0: u32,
  realtime: u64,
  host_tsc: u64,
  pad: array(u32, 4),
});

export const KvmDeviceAttr = struct("kvm_device_attr", { flags: u32, group: u32, attr: u64, addr: u64 });
export const KvmCreateDevice = struct("kvm_create_device", { type: u32, fd: u32, flags: u32 });

export const KvmIrqLevel = struct("kvm_irq_level", { irq: u32, level: u32 });

export const KvmIrqfd = struct("kvm_irqfd", {
  fd: u32,
  gsi: u32,
  flags: u32,
  resamplefd: u32,
  pad: bytes(16),
});

export const KvmIoeventfd = struct("kvm_ioeventfd", {
  datamatch: u64,
  addr: u64,
  len: u32,
  fd: u32,
  flags: u32,
  pad: bytes(36),
});

/** The head of `kvm_irq_routing`; `nr` entries follow. */
export const KvmIrqRouting = struct("kvm_irq_routing", { nr: u32, flags: u32 });
/** `u` holds {irqchip, pin} (u32 each) or {address_lo, address_hi, data, devid} (u32 each). */
export const KvmIrqRoutingEntry = struct("kvm_irq_routing_entry", {
  gsi: u32,
  type: u32,
  flags: u32,
  pad: u32,
  u: array(u32, 8),
});

export const KvmMsi = struct("kvm_msi", {
  address_lo: u32,
  address_hi: u32,
  data: u32,
  flags: u32,
  devid: u32,
  pad: bytes(12),
});

/** The head of `kvm_signal_mask`; a sigset of `len` bytes follows. */
export const KvmSignalMask = struct("kvm_signal_mask", { len: u32 });

export const KvmEnableCap = struct("kvm_enable_cap", {
  cap: u32,
  flags: u32,
  args: array(u64, 4),
  pad: bytes(64),
});

/** The head of `kvm_nested_state`; vendor data follow up to `size` bytes. */
export const KvmNestedState = struct("kvm_nested_state", {
  flags: u16,
  format: u16,
  size: u32,
  hdr: bytes(120),
});

/** Structures whose request number counts 4096 bytes. */
const Xsave = { size: 4096 };
const IdentityMapAddress = { size: 8 };

export const KVM_GET_API_VERSION = _IO("KVM_GET_API_VERSION", KVMIO, 0x00);
export const KVM_CREATE_VM = _IO("KVM_CREATE_VM", KVMIO, 0x01);
export const KVM_GET_MSR_INDEX_LIST = _IOWR("KVM_GET_MSR_INDEX_LIST", KVMIO, 0x02, KvmMsrList);
export const KVM_CHECK_EXTENSION = _IO("KVM_CHECK_EXTENSION", KVMIO, 0x03);
export const KVM_GET_VCPU_MMAP_SIZE = _IO("KVM_GET_VCPU_MMAP_SIZE", KVMIO, 0x04);
export const KVM_GET_SUPPORTED_CPUID = _IOWR("KVM_GET_SUPPORTED_CPUID", KVMIO, 0x05, KvmCpuid2);
export const KVM_CREATE_VCPU = _IO("KVM_CREATE_VCPU", KVMIO, 0x41);
export const KVM_SET_USER_MEMORY_REGION = _IOW(
  "KVM_SET_USER_MEMORY_REGION",
  KVMIO,
  0x46,
  KvmUserspaceMemoryRegion,
);
export const KVM_SET_TSS_ADDR = _IO("KVM_SET_TSS_ADDR", KVMIO, 0x47);
export const KVM_SET_IDENTITY_MAP_ADDR = _IOW("KVM_SET_IDENTITY_MAP_ADDR", KVMIO, 0x48, IdentityMapAddress);
export const KVM_CREATE_IRQCHIP = _IO("KVM_CREATE_IRQCHIP", KVMIO, 0x60);
export const KVM_IRQ_LINE = _IOW("KVM_IRQ_LINE", KVMIO, 0x61, KvmIrqLevel);
export const KVM_GET_IRQCHIP = _IOWR("KVM_GET_IRQCHIP", KVMIO, 0x62, KvmIrqchip);
/** The header says _IOR, though the kernel reads the structure. */
export const KVM_SET_IRQCHIP = _IOR("KVM_SET_IRQCHIP", KVMIO, 0x63, KvmIrqchip);
export const KVM_SET_GSI_ROUTING = _IOW("KVM_SET_GSI_ROUTING", KVMIO, 0x6a, KvmIrqRouting);
export const KVM_IRQFD = _IOW("KVM_IRQFD", KVMIO, 0x76, KvmIrqfd);
export const KVM_CREATE_PIT2 = _IOW("KVM_CREATE_PIT2", KVMIO, 0x77, KvmPitConfig);
export const KVM_IOEVENTFD = _IOW("KVM_IOEVENTFD", KVMIO, 0x79, KvmIoeventfd);
export const KVM_SET_CLOCK = _IOW("KVM_SET_CLOCK", KVMIO, 0x7b, KvmClockData);
export const KVM_GET_CLOCK = _IOR("KVM_GET_CLOCK", KVMIO, 0x7c, KvmClockData);
export const KVM_RUN = _IO("KVM_RUN", KVMIO, 0x80);
export const KVM_GET_REGS = _IOR("KVM_GET_REGS", KVMIO, 0x81, KvmRegs);
export const KVM_SET_REGS = _IOW("KVM_SET_REGS", KVMIO, 0x82, KvmRegs);
export const KVM_GET_MSRS = _IOWR("KVM_GET_MSRS", KVMIO, 0x88, KvmMsrs);
export const KVM_SET_MSRS = _IOW("KVM_SET_MSRS", KVMIO, 0x89, KvmMsrs);
export const KVM_SET_SIGNAL_MASK = _IOW("KVM_SET_SIGNAL_MASK", KVMIO, 0x8b, KvmSignalMask);
export const KVM_GET_LAPIC = _IOR("KVM_GET_LAPIC", KVMIO, 0x8e, KvmLapicState);
export const KVM_SET_LAPIC = _IOW("KVM_SET_LAPIC", KVMIO, 0x8f, KvmLapicState);
export const KVM_SET_CPUID2 = _IOW("KVM_SET_CPUID2", KVMIO, 0x90, KvmCpuid2);
export const KVM_GET_MP_STATE = _IOR("KVM_GET_MP_STATE", KVMIO, 0x98, KvmMpState);
export const KVM_SET_MP_STATE = _IOW("KVM_SET_MP_STATE", KVMIO, 0x99, KvmMpState);
export const KVM_NMI = _IO("KVM_NMI", KVMIO, 0x9a);
export const KVM_GET_PIT2 = _IOR("KVM_GET_PIT2", KVMIO, 0x9f, KvmPitState2);
export const KVM_SET_PIT2 = _IOW("KVM_SET_PIT2", KVMIO, 0xa0, KvmPitState2);
export const KVM_GET_VCPU_EVENTS = _IOR("KVM_GET_VCPU_EVENTS", KVMIO, 0x9f, KvmVcpuEvents);
export const KVM_SET_VCPU_EVENTS = _IOW("KVM_SET_VCPU_EVENTS", KVMIO, 0xa0, KvmVcpuEvents);
export const KVM_GET_DEBUGREGS = _IOR("KVM_GET_DEBUGREGS", KVMIO, 0xa1, KvmDebugregs);
export const KVM_SET_DEBUGREGS = _IOW("KVM_SET_DEBUGREGS", KVMIO, 0xa2, KvmDebugregs);
export const KVM_ENABLE_CAP = _IOW("KVM_ENABLE_CAP", KVMIO, 0xa3, KvmEnableCap);
export const KVM_SET_TSC_KHZ = _IO("KVM_SET_TSC_KHZ", KVMIO, 0xa2);
export const KVM_GET_TSC_KHZ = _IO("KVM_GET_TSC_KHZ", KVMIO, 0xa3);
export const KVM_GET_XSAVE = _IOR("KVM_GET_XSAVE", KVMIO, 0xa4, Xsave);
export const KVM_SET_XSAVE = _IOW("KVM_SET_XSAVE", KVMIO, 0xa5, Xsave);
export const KVM_SIGNAL_MSI = _IOW("KVM_SIGNAL_MSI", KVMIO, 0xa5, KvmMsi);
export const KVM_GET_XCRS = _IOR("KVM_GET_XCRS", KVMIO, 0xa6, KvmXcrs);
export const KVM_SET_XCRS = _IOW("KVM_SET_XCRS", KVMIO, 0xa7, KvmXcrs);
export const KVM_KVMCLOCK_CTRL = _IO("KVM_KVMCLOCK_CTRL", KVMIO, 0xad);
export const KVM_GET_NESTED_STATE = _IOWR("KVM_GET_NESTED_STATE", KVMIO, 0xbe, KvmNestedState);
export const KVM_SET_NESTED_STATE = _IOW("KVM_SET_NESTED_STATE", KVMIO, 0xbf, KvmNestedState);
export const KVM_GET_SREGS2 = _IOR("KVM_GET_SREGS2", KVMIO, 0xcc, KvmSregs2);
export const KVM_SET_SREGS2 = _IOW("KVM_SET_SREGS2", KVMIO, 0xcd, KvmSregs2);
export const KVM_GET_XSAVE2 = _IOR("KVM_GET_XSAVE2", KVMIO, 0xcf, Xsave);
export const KVM_CREATE_DEVICE = _IOWR("KVM_CREATE_DEVICE", KVMIO, 0xe0, KvmCreateDevice);
export const KVM_SET_DEVICE_ATTR = _IOW("KVM_SET_DEVICE_ATTR", KVMIO, 0xe1, KvmDeviceAttr);
export const KVM_GET_DEVICE_ATTR = _IOW("KVM_GET_DEVICE_ATTR", KVMIO, 0xe2, KvmDeviceAttr);
export const KVM_HAS_DEVICE_ATTR = _IOW("KVM_HAS_DEVICE_ATTR", KVMIO, 0xe3, KvmDeviceAttr);

export const KVM_API_VERSION = 12;

/* Extensions for KVM_CHECK_EXTENSION. */
export const KVM_CAP_IRQCHIP = 0;
export const KVM_CAP_USER_MEMORY = 3;
export const KVM_CAP_SET_TSS_ADDR = 4;
export const KVM_CAP_NR_VCPUS = 9;
export const KVM_CAP_IRQFD = 32;
export const KVM_CAP_PIT2 = 33;
export const KVM_CAP_IOEVENTFD = 36;
export const KVM_CAP_XCRS = 56;
export const KVM_CAP_MAX_VCPUS = 66;
export const KVM_CAP_SIGNAL_MSI = 77;
export const KVM_CAP_TSC_DEADLINE_TIMER = 72;
export const KVM_CAP_IMMEDIATE_EXIT = 136;
export const KVM_CAP_NESTED_STATE = 157;
export const KVM_CAP_SREGS2 = 200;
export const KVM_CAP_XSAVE2 = 208;

/** `kvm_pit_config.flags`: answer port 0x61 in the kernel too. */
export const KVM_PIT_SPEAKER_DUMMY = 1;

/* `kvm_irqchip.chip_id`. */
export const KVM_IRQCHIP_PIC_MASTER = 0;
export const KVM_IRQCHIP_PIC_SLAVE = 1;
export const KVM_IRQCHIP_IOAPIC = 2;

/* `kvm_irqfd.flags`. */
export const KVM_IRQFD_FLAG_DEASSIGN = 1;
export const KVM_IRQFD_FLAG_RESAMPLE = 2;

/* `kvm_ioeventfd.flags`. */
export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
export const KVM_IOEVENTFD_FLAG_PIO = 2;
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 4;

/* `kvm_irq_routing_entry.type`. */
export const KVM_IRQ_ROUTING_IRQCHIP = 1;
export const KVM_IRQ_ROUTING_MSI = 2;

/** `kvm_clock_data.flags`: `realtime` is valid, and to be used to advance the clock. */
export const KVM_CLOCK_REALTIME = 4;

/** vCPU attribute group and attribute of the TSC offset. */
export const KVM_VCPU_TSC_CTRL = 0;
export const KVM_VCPU_TSC_OFFSET = 0;

/** `kvm_cpuid_entry2.flags`: the entry depends on ECX. */
export const KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1;

/* Exit reasons. */
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_HLT = 5;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_IRQ_WINDOW_OPEN = 7;
export const KVM_EXIT_SHUTDOWN = 8;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_INTERNAL_ERROR = 17;
export const KVM_EXIT_SYSTEM_EVENT = 24;
export const KVM_EXIT_MEMORY_FAULT = 39;

/** `kvm_run.io.direction`: the guest reads. */
export const KVM_EXIT_IO_IN = 0;
/** The guest writes. */
export const KVM_EXIT_IO_OUT = 1;

/* `kvm_run.system_event.type`. */
export const KVM_SYSTEM_EVENT_SHUTDOWN = 1;
export const KVM_SYSTEM_EVENT_RESET = 2;
export const KVM_SYSTEM_EVENT_CRASH = 3;

/** Offsets of the fields of `struct kvm_run` that are read at each exit, in bytes. */
export const RUN = {
  IMMEDIATE_EXIT: 1,
  EXIT_REASON: 8,
  IO_DIRECTION: 32,
  IO_SIZE: 33,
  IO_PORT: 34,
  IO_COUNT: 36,
  IO_DATA_OFFSET: 40,
  MMIO_ADDRESS: 32,
  MMIO_DATA: 40,
  MMIO_LENGTH: 48,
  MMIO_IS_WRITE: 52,
  /** FAIL_ENTRY: hardware_entry_failure_reason (u64). */
  FAIL_REASON: 32,
  /** INTERNAL_ERROR: suberror, ndata (u32), data[] (u64). */
  INTERNAL_SUBERROR: 32,
  INTERNAL_NDATA: 36,
  INTERNAL_DATA: 40,
  SYSTEM_EVENT_TYPE: 32,
  /** MEMORY_FAULT: flags, gpa, size (u64). */
  MEMORY_FAULT_GPA: 40,
} as const;

/** `mp_state` values. */
export const KVM_MP_STATE_RUNNABLE = 0;
export const KVM_MP_STATE_UNINITIALIZED = 1;
