/** The MADT: the interrupt controllers (ACPI 6.5, section 5.2.12). */
import { bytes, struct, u8, u16, u32 } from "@vmm/libc";
import { SCI_GSI } from "../chipset/acpi-pm.ts";
import { acpiTable } from "./table.ts";

/** That of ACPI 6.3. */
const MADT_REVISION = 5;

export const LAPIC_ADDRESS = 0xfee00000;
export const IOAPIC_ADDRESS = 0xfec00000;

/** There is also a pair of 8259s. */
const PC_AT_COMPATIBLE = 1;

const MadtBody = struct("acpi_table_madt", { lapicAddress: u32, flags: u32 }, { packed: true });

const packed = { packed: true };
const Lapic = struct("acpi_madt_local_apic", { type: u8, length: u8, uid: u8, id: u8, flags: u32 }, packed);
const IoApic = struct(
  "acpi_madt_io_apic",
  { type: u8, length: u8, id: u8, reserved: u8, address: u32, firstGsi: u32 },
  packed,
);
const SourceOverride = struct(
  "acpi_madt_interrupt_override",
  { type: u8, length: u8, bus: u8, source: u8, gsi: u32, flags: u16 },
  packed,
);
const LapicNmi = struct(
  "acpi_madt_local_apic_nmi",
  { type: u8, length: u8, uid: u8, flags: u16, lint: u8 },
  packed,
);
const X2Apic = struct(
  "acpi_madt_local_x2apic",
  { type: u8, length: u8, reserved: u16, id: u32, flags: u32, uid: u32 },
  packed,
);
const X2ApicNmi = struct(
  "acpi_madt_local_x2apic_nmi",
  { type: u8, length: u8, flags: u16, uid: u32, lint: u8, reserved: bytes(3) },
  packed,
);

const ENABLED = 1;
/** From this id on a processor needs an x2APIC entry: 255 is broadcast. */
const FIRST_X2APIC_ID = 255;
const ALL_PROCESSORS = 0xff;
const ALL_X2APIC_PROCESSORS = 0xffffffff;
/** Flags of an interrupt: active high (1), level-triggered (3 << 2). */
const LEVEL_ACTIVE_HIGH = 0x000d;
const AS_THE_BUS = 0;

function processor(id: number): Uint8Array {
  const entry =
    id < FIRST_X2APIC_ID
      ? Lapic.of({ type: 0, length: Lapic.size, uid: id, id, flags: ENABLED })
      : X2Apic.of({ type: 9, length: X2Apic.size, uid: id, id, flags: ENABLED });
  return entry.$bytes;
}

function override(source: number, gsi: number, flags: number): Uint8Array {
  return SourceOverride.of({ type: 2, length: SourceOverride.size, source, gsi, flags }).$bytes;
}

/** NMIs come in at LINT1 of every processor. */
function nmis(cpus: number): Uint8Array[] {
  const lint = 1;
  const entries = [LapicNmi.of({ type: 4, length: LapicNmi.size, uid: ALL_PROCESSORS, lint }).$bytes];
  if (cpus > FIRST_X2APIC_ID) {
    entries.push(X2ApicNmi.of({ type: 10, length: X2ApicNmi.size, uid: ALL_X2APIC_PROCESSORS, lint }).$bytes);
  }
  return entries;
}

/** @param cpus Number of vCPUs; their APIC ids and processor UIDs are 0 to cpus - 1. */
export function madt(cpus: number): Uint8Array {
  const ioApic = IoApic.of({
    type: 1,
    length: IoApic.size,
    id: Math.min(cpus, 0xff),
    address: IOAPIC_ADDRESS,
  });
  return acpiTable(
    "APIC",
    MADT_REVISION,
    MadtBody.of({ lapicAddress: LAPIC_ADDRESS, flags: PC_AT_COMPATIBLE }).$bytes,
    ...Array.from({ length: cpus }, (_, id) => processor(id)),
    ioApic.$bytes,
    // The PIT's line is wired to pin 2 of the IOAPIC; pin 0 belongs to the 8259s.
    override(0, 2, AS_THE_BUS),
    override(SCI_GSI, SCI_GSI, LEVEL_ACTIVE_HIGH),
    ...nmis(cpus),
  );
}
