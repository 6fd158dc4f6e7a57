/** What all ACPI tables have in common: the header, the checksum, generic addresses (ACPI 6.5, sections 5.2.3, 5.2.6). */
import { bytes, struct, u8, u32, u64 } from "@vmm/libc";

/** The header of every table but the RSDP and the FACS. */
export const SdtHeader = struct(
  "acpi_table_header",
  {
    signature: bytes(4),
    /** Of the whole table, in bytes. */
    length: u32,
    revision: u8,
    checksum: u8,
    oemId: bytes(6),
    oemTableId: bytes(8),
    oemRevision: u32,
    creatorId: bytes(4),
    creatorRevision: u32,
  },
  { packed: true },
);

/** A register's place in one of the address spaces. */
export const GenericAddress = struct(
  "acpi_generic_address",
  { space: u8, bitWidth: u8, bitOffset: u8, accessSize: u8, address: u64 },
  { packed: true },
);

const SYSTEM_IO = 1;
/** Access sizes of generic addresses, by bytes. */
const ACCESS_SIZE: Readonly<Record<number, number>> = { 1: 1, 2: 2, 4: 3 };

/** A register block in I/O space: its length, and the size of the accesses made to it, in bytes. */
export function ioAddress(port: number, length: number, access: number) {
  return GenericAddress.of({
    space: SYSTEM_IO,
    bitWidth: 8 * length,
    accessSize: ACCESS_SIZE[access] ?? 0,
    address: BigInt(port),
  });
}

export const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Who made the tables. */
export const OEM_ID = ascii("VMM   ");
const OEM_TABLE_ID = ascii("VMM     ");
const CREATOR_ID = ascii("VMM ");

/** What makes the sum of all bytes zero, where the checksum's own byte is zero. */
export function checksum(table: Uint8Array): number {
  let sum = 0;
  for (const value of table) sum += value;
  return -sum & 0xff;
}

/** A whole table: header, the parts behind it, and the checksum over both. */
export function acpiTable(signature: string, revision: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const header = SdtHeader.of({
    signature: ascii(signature),
    revision,
    oemId: OEM_ID,
    oemTableId: OEM_TABLE_ID,
    oemRevision: 1,
    creatorId: CREATOR_ID,
    creatorRevision: 1,
  });
  header.length = parts.reduce((length, part) => length + part.length, SdtHeader.size);
  const table = Buffer.concat([header.$bytes, ...parts]);
  table[SdtHeader.offsets.checksum] = checksum(table);
  return table;
}
