/**
 * The FACS: memory that firmware and guest share, for the global lock and the waking vector (ACPI 6.5, section 5.2.10).
 * The only table without a checksum, and the only one that the guest writes.
 */
import { struct, u8, u32, u64 } from "@vmm/libc";
import { ascii } from "./table.ts";

export const Facs = struct(
  "acpi_table_facs",
  {
    signature: u32,
    length: u32,
    hardwareSignature: u32,
    wakingVector: u32,
    globalLock: u32,
    flags: u32,
    xWakingVector: u64,
    version: u8,
  },
  { packed: true, size: 64 },
);

/** Where the guest expects it: at a multiple of this. */
export const FACS_ALIGN = 64;

const FACS_VERSION = 2;

export function facs(): Uint8Array {
  const table = Facs.of({ length: Facs.size, version: FACS_VERSION });
  table.$bytes.set(ascii("FACS"));
  return table.$bytes;
}
