/** The roots: RSDP and XSDT (ACPI 6.5, sections 5.2.5 and 5.2.8). */
import { bytes, struct, u8, u32, u64 } from "@vmm/libc";
import { acpiTable, ascii, checksum, OEM_ID } from "./table.ts";

export const Rsdp = struct(
  "acpi_table_rsdp",
  {
    signature: bytes(8),
    /** Over the first 20 bytes, which are all of ACPI 1.0. */
    checksum: u8,
    oemId: bytes(6),
    revision: u8,
    rsdt: u32,
    length: u32,
    xsdt: u64,
    /** Over the whole. */
    extendedChecksum: u8,
    reserved: bytes(3),
  },
  { packed: true },
);

const RSDP_V1_SIZE = 20;
const RSDP_REVISION = 2;
const XSDT_REVISION = 1;

/** @param xsdt Its guest-physical address. There is no RSDT: since ACPI 2.0 none is needed. */
export function rsdp(xsdt: number): Uint8Array {
  const table = Rsdp.of({
    signature: ascii("RSD PTR "),
    oemId: OEM_ID,
    revision: RSDP_REVISION,
    length: Rsdp.size,
    xsdt: BigInt(xsdt),
  });
  table.checksum = checksum(table.$bytes.subarray(0, RSDP_V1_SIZE));
  table.extendedChecksum = checksum(table.$bytes);
  return table.$bytes;
}

/** @param tables Guest-physical addresses of all tables but the DSDT and the FACS, which the FADT points to. */
export function xsdt(tables: readonly number[]): Uint8Array {
  const entries = new DataView(new ArrayBuffer(8 * tables.length));
  tables.forEach((address, i) => void entries.setBigUint64(8 * i, BigInt(address), true));
  return acpiTable("XSDT", XSDT_REVISION, new Uint8Array(entries.buffer));
}
