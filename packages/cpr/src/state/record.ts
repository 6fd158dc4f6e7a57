/** A piece of saved state, with all that is needed to read it without the code that wrote it. */
import type { FieldInfo } from "@vmm/libc";

export interface SavedRecord {
  /** The owner's name, unique in a state, such as `serial0`. At most 255 bytes. */
  readonly name: string;
  /** The kind of state, such as `uart-16550`. */
  readonly kind: string;
  /** The version of the kind's schema that wrote it. */
  readonly version: number;
  /** The oldest version of the schema that can load it. */
  readonly compat: number;
  /** What lies where in `data`, little-endian. Records of one kind had best share one array: it is written once. */
  readonly fields: readonly FieldInfo[];
  readonly data: Uint8Array;
}
