/** Resource descriptors: what a device's _CRS is made of (ACPI 6.5, section 6.4). */
import { struct, u8, u16 } from "@vmm/libc";
import { type Aml, buffer } from "./aml.ts";

/** Small descriptor 0x8, seven bytes of data. */
const IoDescriptor = struct(
  "acpi_resource_io",
  { tag: u8, decode: u8, least: u16, most: u16, alignment: u8, length: u8 },
  { packed: true },
);

/** Small descriptor 0x4, two bytes of data: edge-triggered, active high, not shared. */
const IrqDescriptor = struct("acpi_resource_irq", { tag: u8, mask: u16 }, { packed: true });

/** Small descriptor 0xf; a checksum of 0 is not checked. */
const END = Uint8Array.of(0x79, 0);

/** `length` ports from `port` on, all 16 address bits decoded. */
export function io(port: number, length: number): Uint8Array {
  return IoDescriptor.of({ tag: 0x47, decode: 1, least: port, most: port, alignment: 1, length }).$bytes;
}

/** An ISA interrupt line, 0 to 15. */
export function irq(line: number): Uint8Array {
  return IrqDescriptor.of({ tag: 0x22, mask: 1 << line }).$bytes;
}

/** The value of a _CRS. */
export const resources = (...descriptors: readonly Uint8Array[]): Aml =>
  buffer(Buffer.concat([...descriptors, END]));
