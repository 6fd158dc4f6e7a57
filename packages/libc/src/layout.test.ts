import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  array,
  bytes,
  type FieldType,
  i8,
  i16,
  i32,
  i64,
  type LayoutOptions,
  struct,
  u8,
  u16,
  u32,
  u64,
} from "./layout.ts";

const Point = struct("point", { tag: u8, x: i32, y: i32 });

describe("a structure", () => {
  test("has C's offsets and size", () => {
    expect(Point.offsets).toEqual({ tag: 0, x: 4, y: 8 });
    expect([Point.size, Point.align]).toEqual([12, 4]);
    expect(Point.fields).toEqual([
      { name: "tag", type: "u8", offset: 0, size: 1 },
      { name: "x", type: "i32", offset: 4, size: 4 },
      { name: "y", type: "i32", offset: 8, size: 4 },
    ]);
  });

  test("is seen in place", () => {
    const buffer = new ArrayBuffer(32);
    const point = Point.at(buffer, 16);
    point.x = -2;
    expect(new DataView(buffer).getInt32(20, true)).toBe(-2);
    new DataView(buffer).setInt32(24, 9, true);
    expect(point.y).toBe(9);
    expect(point.$bytes.byteOffset).toBe(16);
    expect(point.$bytes).toHaveLength(12);
  });

  test("lies on shared memory too", () => {
    const shared = new SharedArrayBuffer(12);
    Point.at(shared).x = 5;
    expect(new Int32Array(shared)[1]).toBe(5);
  });

  test("that does not fit is refused", () => {
    expect(() => Point.at(new ArrayBuffer(11))).toThrow(RangeError);
    expect(() => Point.at(new ArrayBuffer(16), 5)).toThrow(RangeError);
    expect(() => struct("small", { a: u64 }, { size: 4 })).toThrow("small needs 8 bytes, not 4");
  });

  test("may have reserved space at its end, and a tail of its own", () => {
    const Padded = struct("padded", { a: u8 }, { size: 64 });
    expect([Padded.size, Padded.alloc().$bytes.length]).toEqual([64, 64]);
    const List = struct("list", { count: u32 });
    const list = List.alloc(8 * 3);
    expect(list.$bytes).toHaveLength(28);
    expect(List.size).toBe(4);
  });

  test("of some values has zeroes elsewhere", () => {
    expect(Point.of({ y: 3 })).toMatchObject({ tag: 0, x: 0, y: 3 });
  });

  test("nests, and the inner one is written in place or as a whole", () => {
    const Line = struct("line", { kind: u8, from: Point.type, to: Point.type });
    expect(Line.offsets).toEqual({ kind: 0, from: 4, to: 16 });
    const line = Line.of({ kind: 1, from: Point.of({ x: 1, y: 2 }) });
    line.to = line.from;
    line.from.x = 100;
    expect([line.from.x, line.to.x, line.to.y]).toEqual([100, 1, 2]);
  });
});

describe("byte fields", () => {
  const Name = struct("name", { before: u8, text: bytes(4), after: u8 });

  test("are copied in, with zeroes behind, and seen in place", () => {
    const name = Name.of({ before: 0xff, text: Uint8Array.of(1, 2, 3, 4), after: 0xff });
    name.text = Uint8Array.of(9);
    expect([...name.$bytes]).toEqual([0xff, 9, 0, 0, 0, 0xff]);
    name.text[2] = 7;
    expect(name.$bytes[3]).toBe(7);
  });

  test("too long are refused, and nothing is changed", () => {
    const name = Name.of({ text: Uint8Array.of(1, 2, 3, 4) });
    expect(() => {
      name.text = new Uint8Array(5);
    }).toThrow("5 bytes do not fit in 4");
    expect([...name.text]).toEqual([1, 2, 3, 4]);
  });
});

describe("arrays", () => {
  const Table = struct("table", { a: u8, words: array(u32, 3), points: array(Point.type, 2) });

  test("lie like C's, and say what they are", () => {
    expect(Table.offsets).toEqual({ a: 0, words: 4, points: 16 });
    expect(Table.size).toBe(40);
    expect(Table.fields.map((f) => f.type)).toEqual(["u8", "u32[3]", "point[2]"]);
  });

  test("are read and written by index, within their bounds", () => {
    const table = Table.alloc();
    table.words.set(2, 0xdeadbeef);
    expect(table.words.get(2)).toBe(0xdeadbeef);
    table.points.get(1).y = -7;
    expect(table.points.get(1).y).toBe(-7);
    for (const index of [-1, 3, 0.5, Number.NaN]) {
      expect(() => table.words.get(index)).toThrow(RangeError);
      expect(() => table.words.set(index, 1)).toThrow(RangeError);
    }
  });

  test("are copied from another structure's", () => {
    const source = Table.alloc();
    for (let i = 0; i < 3; i++) source.words.set(i, i + 1);
    const copy = Table.of({ words: source.words });
    expect([0, 1, 2].map((i) => copy.words.get(i))).toEqual([1, 2, 3]);
  });
});

type Any = FieldType<unknown>;
interface Sample {
  readonly type: Any;
  readonly value: unknown;
}

/** A scalar type, a value of it, and how Node's Buffer would write it: the oracle. */
const scalar: fc.Arbitrary<Sample> = fc.oneof(
  ...[u8, i8, u16, i16, u32, i32].map((type) => {
    const bits = type.size * 8;
    const signed = type.code.startsWith("i");
    const range = signed
      ? { min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 }
      : { min: 0, max: 2 ** bits - 1 };
    return fc.integer(range).map((value) => ({ type: type as Any, value }));
  }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => ({ type: u64 as Any, value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({ type: i64 as Any, value })),
  fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((value) => ({ type: bytes(value.length) as Any, value })),
);

function expected(value: unknown, size: number, bigEndian: boolean): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const digits = BigInt.asUintN(size * 8, BigInt(value as number | bigint));
  const big = Buffer.from(digits.toString(16).padStart(size * 2, "0"), "hex");
  return bigEndian ? big : big.reverse();
}

function build(samples: readonly Sample[], options: LayoutOptions) {
  const entries = samples.map(({ type }, i) => [`f${i}`, type] as const);
  return struct("random", Object.fromEntries(entries), options);
}

describe("any list of fields", () => {
  const samples = fc.array(scalar, { minLength: 1, maxLength: 16 });
  const options = fc.record({ packed: fc.boolean(), bigEndian: fc.boolean() });

  test("lies in order, aligned, with no more padding than C has", () => {
    fc.assert(
      fc.property(samples, options, (list, { packed }) => {
        const layout = build(list, { packed });
        let end = 0;
        let align = 1;
        list.forEach(({ type }, i) => {
          const offset = layout.offsets[`f${i}`] as number;
          const alignment = packed ? 1 : type.align;
          align = Math.max(align, alignment);
          expect(offset % alignment).toBe(0);
          expect(offset - end).toBeGreaterThanOrEqual(0);
          expect(offset - end).toBeLessThan(alignment);
          end = offset + type.size;
        });
        expect(layout.align).toBe(align);
        expect(layout.size % align).toBe(0);
        expect(layout.size - end).toBeGreaterThanOrEqual(0);
        expect(layout.size - end).toBeLessThan(align);
      }),
    );
  });

  test("gives back what was stored, byte for byte where it belongs, and touches nothing else", () => {
    fc.assert(
      fc.property(samples, options, fc.nat(9), (list, { packed, bigEndian }, before) => {
        const layout = build(list, { packed, bigEndian });
        const memory = new Uint8Array(before + layout.size + 9).fill(0xa5);
        const view = layout.at(memory.buffer, before) as unknown as Record<string, unknown>;
        const image = memory.slice();
        list.forEach(({ type, value }, i) => {
          view[`f${i}`] = value;
          image.set(expected(value, type.size, bigEndian), before + (layout.offsets[`f${i}`] as number));
        });
        expect(memory).toEqual(image);
        list.forEach(({ value }, i) => {
          expect(view[`f${i}`]).toEqual(value);
        });
      }),
    );
  });
});
