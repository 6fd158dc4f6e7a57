/** The shape of a kind of record, as the code that owns it declares it. */
import type { Fields, Layout } from "@vmm/libc";

/** How a kind of record looks, and which older and newer versions of it can be loaded. See `loadRecord`. */
export interface RecordSchema<F extends Fields = Fields> {
  /** The kind of state, such as `uart-16550`. */
  readonly kind: string;
  /** The version this code writes. It grows by one whenever a field is added, removed or changes its meaning. */
  readonly version: number;
  /** The oldest version of this code that can still load what this version writes. */
  readonly compat: number;
  /** Little-endian: records travel between versions as they lie in memory. */
  readonly layout: Layout<F>;
  /** The version in which a field came, where that is later than 1. An older record leaves it at its reset value. */
  readonly since?: Partial<Record<keyof F & string, number>>;
}
