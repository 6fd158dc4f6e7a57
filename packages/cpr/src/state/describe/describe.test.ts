import { describe, expect, test } from "bun:test";
import { array, bytes, i16, i64, struct, u8, u16, u32, u64 } from "@vmm/libc";
import fc from "fast-check";
import { headerCrc, RamRecord } from "../../ram/format.ts";
import type { SavedRecord } from "../record.ts";
import { describeRecord, describeRecords, type StateBook } from "./describe-record.ts";
import { diffRecords } from "./diff-records.ts";
import { isZero, type StateValue } from "./value.ts";
import { type ByteSource, walkRam } from "./walk-ram.ts";

const Inner = struct("inner", { base: u64, limit: u16 });
const Outer = struct("outer", {
  small: i16,
  big: i64,
  words: array(u32, 3),
  fifo: bytes(4),
  one: Inner.type,
  two: array(Inner.type, 2),
});

const book: StateBook = { layouts: new Map([[Inner.name, Inner]]), readers: new Map() };

function record(data: Uint8Array, more: Partial<SavedRecord> = {}): SavedRecord {
  return { name: "r0", kind: "outer", version: 1, compat: 1, fields: Outer.fields, data, ...more };
}

const valueIn = (described: ReturnType<typeof describeRecord>, name: string) =>
  described.fields.find((field) => field.name === name)?.value;

const integer = (value: bigint, size: number): StateValue => ({ type: "integer", value, size });

describe("a record", () => {
  const outer = Outer.of({ small: -2, big: -(2n ** 62n), fifo: Uint8Array.of(1, 2, 3, 4) });
  outer.words.set(1, 0xfffffffe);
  outer.one.base = 2n ** 64n - 1n;
  outer.two.get(1).limit = 7;
  const described = describeRecord(record(outer.$bytes), book);

  test("is read by the types of its fields", () => {
    expect(valueIn(described, "small")).toEqual(integer(-2n, 2));
    expect(valueIn(described, "big")).toEqual(integer(-(2n ** 62n), 8));
    expect(valueIn(described, "words")).toEqual({
      type: "list",
      items: [integer(0n, 4), integer(0xfffffffen, 4), integer(0n, 4)],
    });
    expect(valueIn(described, "fifo")).toEqual({ type: "bytes", bytes: Uint8Array.of(1, 2, 3, 4) });
  });

  test("is read down into structures that are known, also where they lie in a row", () => {
    const inner = (base: bigint, limit: bigint): StateValue => ({
      type: "struct",
      fields: [
        { name: "base", value: integer(base, 8) },
        { name: "limit", value: integer(limit, 2) },
      ],
    });
    expect(valueIn(described, "one")).toEqual(inner(2n ** 64n - 1n, 0n));
    expect(valueIn(described, "two")).toEqual({ type: "list", items: [inner(0n, 0n), inner(0n, 7n)] });
  });

  test("shows a structure that nobody knows, or that has another size, as bytes", () => {
    expect(valueIn(describeRecord(record(outer.$bytes)), "one")?.type).toBe("bytes");
    const grown = struct("inner", { base: u64, limit: u16, more: u64 });
    const other = { ...book, layouts: new Map([["inner", grown]]) };
    expect(valueIn(describeRecord(record(outer.$bytes), other), "two")?.type).toBe("bytes");
  });

  test("is left to its reader where there is one, but not where the reader gives up", () => {
    const fields = [{ name: "said", value: integer(1n, 1) }];
    const readers = new Map([["outer", ({ version }: SavedRecord) => (version === 1 ? fields : undefined)]]);
    expect(describeRecord(record(outer.$bytes), { ...book, readers }).fields).toEqual(fields);
    const newer = describeRecord(record(outer.$bytes, { version: 2 }), { ...book, readers });
    expect(newer.fields).toEqual(described.fields);
  });
});

test("types that do not fit their size, or count more than there is, are bytes", () => {
  const types = [
    "u32",
    "i8",
    "u16[4294967295]",
    "u16[3]",
    "u16[0]",
    "u16[-1]",
    "[2]",
    "",
    "u8[5]",
    "x[2][2]",
  ];
  for (const type of types) {
    const fields = [{ name: "f", type, offset: 0, size: 5 }];
    const { fields: found } = describeRecord(record(new Uint8Array(5), { fields }), book);
    expect([type, found[0]?.value.type]).toEqual([type, "bytes"]);
  }
});

describe("more values than anybody would read", () => {
  const MANY = 600_000;
  const list = (name: string, count: number) =>
    record(new Uint8Array(2 * count), {
      name,
      fields: [{ name: "f", type: `u16[${count}]`, offset: 0, size: 2 * count }],
    });
  const types = (records: readonly SavedRecord[], of = book) =>
    describeRecords(records, of).map(({ fields }) => fields[0]?.value.type);

  test("stay bytes, in one list or in several records together", () => {
    expect(types([list("r", MANY)])).toEqual(["bytes"]);
    const third = Math.floor(MANY / 3);
    expect(types([list("a", third), list("b", third), list("c", third), list("d", 3)])).toEqual([
      "list",
      "list",
      "bytes",
      "list",
    ]);
  });

  test("are not read out of bytes either", () => {
    const reader = () => [{ name: "f", value: { type: "text", bytes: new Uint8Array(0) } } as const];
    const bytes = (size: number) =>
      record(new Uint8Array(size), { fields: [{ name: "f", type: `u8[${size}]`, offset: 0, size }] });
    const readers = new Map([["outer", reader]]);
    expect(types([bytes(8 * MANY), bytes(8)], { ...book, readers })).toEqual(["bytes", "text"]);
  });
});

test("layouts that contain themselves do not lead to an endless value", () => {
  const loop = { size: 4, fields: [{ name: "self", type: "loop", offset: 0, size: 4 }] };
  const fields = [{ name: "f", type: "loop", offset: 0, size: 4 }];
  const endless = { ...book, layouts: new Map([["loop", loop]]) };
  expect(
    isZero(describeRecord(record(new Uint8Array(4), { fields }), endless).fields[0]?.value as never),
  ).toBe(true);
});

describe("the difference of two lists of records", () => {
  const small = struct("s", { a: u8, b: u16 });
  const of = (name: string, a: number, more: Partial<SavedRecord> = {}) =>
    describeRecord(record(small.of({ a }).$bytes, { name, kind: "s", fields: small.fields, ...more }), book);

  test("names records that are gone, new, and changed, whatever their order", () => {
    const diff = diffRecords([of("x", 1), of("y", 1), of("z", 1)], [of("z", 1), of("new", 1), of("x", 2)]);
    expect(diff.removed.map(({ name }) => name)).toEqual(["y"]);
    expect(diff.added.map(({ name }) => name)).toEqual(["new"]);
    expect(diff.changed.map(({ name, fields }) => [name, fields])).toEqual([
      ["x", [{ path: "a", before: integer(1n, 1), after: integer(2n, 1) }]],
    ]);
  });

  test("names what changed by its path", () => {
    const [a, b] = [Outer.alloc(), Outer.alloc()];
    b.two.get(1).limit = 5;
    b.words.set(2, 9);
    const describe = (data: Uint8Array) => [describeRecord(record(data), book)];
    const { changed } = diffRecords(describe(a.$bytes), describe(b.$bytes));
    expect(changed[0]?.fields.map(({ path }) => path)).toEqual(["words[2]", "two[1].limit"]);
  });

  test("names fields that only one side has, and a change of version alone", () => {
    const wider = struct("s", { a: u8, c: u32 });
    const later = describeRecord(
      record(wider.of({ a: 1, c: 3 }).$bytes, { name: "x", kind: "s", fields: wider.fields }),
      book,
    );
    expect(diffRecords([of("x", 1)], [later]).changed[0]?.fields).toEqual([
      { path: "b", before: integer(0n, 2) },
      { path: "c", after: integer(3n, 4) },
    ]);
    const [renumbered] = diffRecords([of("x", 1)], [of("x", 1, { version: 2 })]).changed;
    expect(renumbered?.fields).toEqual([]);
    expect(renumbered?.after.version).toBe(2);
  });

  test("sees a byte that no field describes", () => {
    const padded = of("x", 1);
    const data = padded.data.slice();
    data[1] = 9;
    const { changed } = diffRecords(
      [padded],
      [describeRecord({ ...padded, fields: small.fields, data }, book)],
    );
    expect(changed[0]?.fields.map(({ path }) => path)).toEqual(["(bytes)"]);
  });

  test("is nothing for a state and itself, and something for any byte that changed", () => {
    const type = fc.oneof(
      fc.constantFrom("u8", "u16", "u32", "u64", "i64", "inner", "inner[2]", "u16[4]", "u8[16]"),
      fc.string({ maxLength: 12 }),
    );
    const field = fc.record({
      name: fc.string({ maxLength: 6 }),
      type,
      offset: fc.integer({ min: 0, max: 20 }),
      size: fc.integer({ min: 0, max: 40 }),
    });
    const wild = fc.record({
      fields: fc.array(field, { maxLength: 8 }),
      data: fc.uint8Array({ minLength: 60, maxLength: 80 }),
      at: fc.integer({ min: 0, max: 59 }),
    });
    fc.assert(
      fc.property(wild, ({ fields, data, at }) => {
        const before = [describeRecord(record(data, { fields }), book)];
        expect(diffRecords(before, before)).toEqual({ removed: [], added: [], changed: [] });
        const other = data.slice();
        other[at] = (other[at] as number) ^ 1;
        expect(diffRecords(before, [describeRecord(record(other, { fields }), book)]).changed).toHaveLength(
          1,
        );
      }),
    );
  });
});

describe("RAM behind a saved state", () => {
  const PAGE = 4096;
  const [PAGES, END] = [1, 2];

  /** Runs of pages at their offsets, behind 7 bytes of something else. */
  function ram(...runs: readonly (readonly [block: number, offset: number, pages: number])[]): Uint8Array {
    const parts: Uint8Array[] = [new Uint8Array(7)];
    const record = (type: number, block: number, offset: number, length: number) => {
      const number = parts.length >> 1;
      const header = RamRecord.of({ type, block, offset: BigInt(offset), length, number });
      header.header_crc = headerCrc(header.$bytes);
      parts.push(header.$bytes, new Uint8Array(length));
    };
    for (const [block, offset, pages] of runs) record(PAGES, block, offset, pages * PAGE);
    record(
      END,
      2,
      runs.reduce((sum, [, , pages]) => sum + pages * PAGE, 0),
      0,
    );
    return new Uint8Array(Buffer.concat(parts));
  }

  const sourceOf = (bytes: Uint8Array): ByteSource => ({
    size: bytes.length,
    read(offset, into) {
      const part = bytes.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
  });
  const walk = (bytes: Uint8Array) => [...walkRam(sourceOf(bytes), 7, 2)];
  const whole = ram([0, 0, 2], [0, 5 * PAGE, 1], [1, PAGE, 3]);

  test("is told run by run, with where the pages lie", () => {
    expect(walk(whole).map(({ block, offset, length, at }) => [block, offset, length, at])).toEqual([
      [0, 0, 2 * PAGE, 7 + 32],
      [0, 5 * PAGE, PAGE, 7 + 2 * 32 + 2 * PAGE],
      [1, PAGE, 3 * PAGE, 7 + 3 * 32 + 3 * PAGE],
    ]);
    expect(walk(ram())).toEqual([]);
  });

  test("cut short anywhere is refused as truncated, and longer as damaged", () => {
    for (let length = 7; length < whole.length; length += length < 60 ? 1 : 997) {
      expect(() => walk(whole.subarray(0, length))).toThrow("truncated: its RAM is not whole");
    }
    expect(() => walk(Buffer.concat([whole, new Uint8Array(3)]))).toThrow("3 bytes follow its end");
  });

  test("with a changed record is refused", () => {
    for (let at = 7; at < 7 + 32; at++) {
      expect(() => walk(whole.with(at, (whole[at] as number) ^ 1))).toThrow("does not fit its checksum");
    }
    expect(() => walk(ram([2, 0, 1]))).toThrow("pages lie where there is no RAM");
    expect(() => walk(ram([0, 0, 257]))).toThrow("pages lie where there is no RAM");
  });
});
