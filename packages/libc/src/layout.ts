/**
 * Binary layouts: the one way this project describes bytes that somebody else also reads, be it the kernel (ioctl
 * structures), the guest (ACPI tables, virtio rings) or a later version of ourselves (saved device state).
 *
 * A layout follows the C rules of the System V ABI: each field at its natural alignment, the size rounded up to the
 * largest alignment; `packed` turns that off. Integers are little-endian unless `bigEndian` is set.
 *
 * @example A kernel structure
 * ```ts
 * const KvmIrqLevel = struct("kvm_irq_level", { irq: u32, level: u32 });
 * const line = KvmIrqLevel.of({ irq: 4, level: 1 });
 * line.level; // 1
 * KvmIrqLevel.size; // 8
 * KvmIrqLevel.offsets.level; // 4
 * ```
 */

/** How one field is stored. `code` names the type in self-describing records, such as `u32` or `u8[16]`. */
export interface FieldType<T> {
  readonly code: string;
  /** Size in bytes. */
  readonly size: number;
  /** Natural alignment in bytes. */
  readonly align: number;
  get(view: DataView, offset: number, little: boolean): T;
  set(view: DataView, offset: number, value: T, little: boolean): void;
}

// biome-ignore lint/suspicious/noExplicitAny: a field map mixes types; each is recovered by inference
export type Fields = Record<string, FieldType<any>>;

/** The values of a layout's fields. */
export type Values<F extends Fields> = {
  -readonly [K in keyof F]: F[K] extends FieldType<infer T> ? T : never;
};

/** What every view of a structure has beside its fields. */
export interface Backing {
  /** The structure's bytes, in place. Pass this where a system call wants a pointer to the structure. */
  readonly $bytes: Uint8Array;
  readonly $view: DataView;
}

/** A structure in place: reading and writing its properties reads and writes the memory behind it. */
export type Struct<F extends Fields> = Values<F> & Backing;

/** One field of a layout: where it is and what it holds. */
export interface FieldInfo {
  readonly name: string;
  readonly type: string;
  /** Bytes from the start of the structure. */
  readonly offset: number;
  /** Size in bytes. */
  readonly size: number;
}

export interface LayoutOptions {
  /** No padding between fields or at the end, as in ACPI tables. */
  packed?: boolean;
  bigEndian?: boolean;
  /** Size in bytes where it is larger than the fields need (reserved space at the end). */
  size?: number;
}

/** A named structure: its size, the offsets of its fields, and views of memory through it. */
export interface Layout<F extends Fields = Fields> {
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  readonly align: number;
  readonly offsets: { readonly [K in keyof F]: number };
  readonly fields: readonly FieldInfo[];
  /** This layout as the type of a field, for nesting. */
  readonly type: FieldType<Struct<F>>;
  /** A new zeroed structure in a buffer of its own, with `extra` bytes behind it for a variable-length tail. */
  alloc(extra?: number): Struct<F>;
  /** A new structure with some fields set. */
  of(values: Partial<Values<F>>): Struct<F>;
  /** The structure at `offset` bytes of `buffer`. Throws RangeError where it doesn't fit. */
  at(buffer: ArrayBufferLike, offset?: number): Struct<F>;
}

function scalar<T>(
  code: string,
  size: number,
  get: (view: DataView, offset: number, little: boolean) => T,
  set: (view: DataView, offset: number, value: T, little: boolean) => void,
): FieldType<T> {
  return { code, size, align: size, get, set };
}

export const u8 = scalar<number>(
  "u8",
  1,
  (v, o) => v.getUint8(o),
  (v, o, x) => v.setUint8(o, x),
);
export const i8 = scalar<number>(
  "i8",
  1,
  (v, o) => v.getInt8(o),
  (v, o, x) => v.setInt8(o, x),
);
export const u16 = scalar<number>(
  "u16",
  2,
  (v, o, le) => v.getUint16(o, le),
  (v, o, x, le) => v.setUint16(o, x, le),
);
export const i16 = scalar<number>(
  "i16",
  2,
  (v, o, le) => v.getInt16(o, le),
  (v, o, x, le) => v.setInt16(o, x, le),
);
export const u32 = scalar<number>(
  "u32",
  4,
  (v, o, le) => v.getUint32(o, le),
  (v, o, x, le) => v.setUint32(o, x, le),
);
export const i32 = scalar<number>(
  "i32",
  4,
  (v, o, le) => v.getInt32(o, le),
  (v, o, x, le) => v.setInt32(o, x, le),
);
export const u64 = scalar<bigint>(
  "u64",
  8,
  (v, o, le) => v.getBigUint64(o, le),
  (v, o, x, le) => v.setBigUint64(o, x, le),
);
export const i64 = scalar<bigint>(
  "i64",
  8,
  (v, o, le) => v.getBigInt64(o, le),
  (v, o, x, le) => v.setBigInt64(o, x, le),
);

/** `count` raw bytes, seen in place as a Uint8Array. Setting copies at most `count` bytes and zeroes the rest. */
export function bytes(count: number): FieldType<Uint8Array> {
  return {
    code: `u8[${count}]`,
    size: count,
    align: 1,
    get: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, count),
    set(view, offset, value) {
      if (value.length > count) throw new RangeError(`${value.length} bytes do not fit in ${count}`);
      const target = new Uint8Array(view.buffer, view.byteOffset + offset, count);
      target.fill(0, value.length);
      target.set(value);
    },
  };
}

/** An in-place sequence of equal elements. */
export interface Elements<T> {
  readonly length: number;
  get(index: number): T;
  set(index: number, value: T): void;
}

/** `count` elements of one type in a row, as in C. */
export function array<T>(element: FieldType<T>, count: number): FieldType<Elements<T>> {
  const check = (index: number) => {
    if (!(Number.isInteger(index) && index >= 0 && index < count)) {
      throw new RangeError(`element ${index} of an array of ${count}`);
    }
    return index * element.size;
  };
  const get = (view: DataView, offset: number, little: boolean): Elements<T> => ({
    length: count,
    get: (index) => element.get(view, offset + check(index), little),
    set: (index, value) => element.set(view, offset + check(index), value, little),
  });
  return {
    code: `${element.code}[${count}]`,
    size: element.size * count,
    align: element.align,
    get,
    set(view, offset, value, little) {
      const target = get(view, offset, little);
      for (let i = 0; i < count; i++) target.set(i, value.get(i));
    },
  };
}

function place(fields: Fields, packed: boolean): { infos: FieldInfo[]; size: number; align: number } {
  const infos: FieldInfo[] = [];
  let offset = 0;
  let align = 1;
  for (const [name, type] of Object.entries(fields)) {
    if (!packed) {
      offset = Math.ceil(offset / type.align) * type.align;
      align = Math.max(align, type.align);
    }
    infos.push({ name, type: type.code, offset, size: type.size });
    offset += type.size;
  }
  return { infos, size: Math.ceil(offset / align) * align, align };
}

/** A class whose accessors read and write the fields in place. */
function viewClass(fields: Fields, infos: readonly FieldInfo[], little: boolean) {
  class View implements Backing {
    readonly $view: DataView;
    constructor(buffer: ArrayBufferLike, offset: number, length: number) {
      this.$view = new DataView(buffer, offset, length);
    }
    get $bytes(): Uint8Array {
      return new Uint8Array(this.$view.buffer, this.$view.byteOffset, this.$view.byteLength);
    }
  }
  for (const { name, offset } of infos) {
    const type = fields[name] as FieldType<unknown>;
    Object.defineProperty(View.prototype, name, {
      enumerable: true,
      get(this: View) {
        return type.get(this.$view, offset, little);
      },
      set(this: View, value: unknown) {
        type.set(this.$view, offset, value, little);
      },
    });
  }
  return View;
}

/**
 * Declares a structure by its fields, in order.
 *
 * @param name The name that C or the specification gives it; a test compares size and offsets with the C header's.
 * @throws RangeError where `options.size` is smaller than the fields need.
 */
export function struct<const F extends Fields>(
  name: string,
  fields: F,
  options: LayoutOptions = {},
): Layout<F> {
  const { infos, size: needed, align } = place(fields, options.packed ?? false);
  const size = options.size ?? needed;
  if (size < needed) throw new RangeError(`${name} needs ${needed} bytes, not ${size}`);
  const offsets: Record<string, number> = {};
  for (const { name, offset } of infos) offsets[name] = offset;
  // Many layouts are declared that a run never uses: their classes are made on first use, off the start-up path.
  let made: ReturnType<typeof viewClass> | undefined;
  const view = (buffer: ArrayBufferLike, offset: number, length: number) => {
    made ??= viewClass(fields, infos, !options.bigEndian);
    return new made(buffer, offset, length) as unknown as Struct<F>;
  };
  const at = (buffer: ArrayBufferLike, offset = 0) => view(buffer, offset, size);
  const alloc = (extra = 0) => view(new ArrayBuffer(size + extra), 0, size + extra);
  return {
    name,
    size,
    align,
    offsets: offsets as { [K in keyof F]: number },
    fields: infos,
    type: {
      code: name,
      size,
      align,
      get: (outer, offset) => at(outer.buffer, outer.byteOffset + offset),
      set(outer, offset, value) {
        at(outer.buffer, outer.byteOffset + offset).$bytes.set(value.$bytes.subarray(0, size));
      },
    },
    alloc,
    of: (values) => Object.assign(alloc(), values),
    at,
  };
}
