import { describe, expect, test } from "bun:test";
import { type Fields, i8, i32, i64, struct, u8, u16, u32, u64 } from "@vmm/libc";
import { loadRecord, matchRecords } from "./match.ts";
import type { SavedRecord } from "./record.ts";
import type { RecordSchema } from "./schema.ts";

function schema<F extends Fields>(
  version: number,
  fields: F,
  more: Partial<RecordSchema<F>> = {},
): RecordSchema<F> {
  return { kind: "timer", version, compat: version, layout: struct("timer", fields), ...more };
}

/** A record as the code with this schema saves it. */
function saved<F extends Fields>(of: RecordSchema<F>, values: object): SavedRecord {
  const data = of.layout.of(values as never).$bytes;
  const { kind, version, compat } = of;
  return { name: "timer0", kind, version, compat, fields: of.layout.fields, data };
}

describe("a record of the same version", () => {
  const v1 = schema(1, { count: u32, mode: u8 });

  test("loads as it is", () => {
    const ours = v1.layout.alloc();
    loadRecord(saved(v1, { count: 7, mode: 2 }), v1, ours.$bytes);
    expect([ours.count, ours.mode]).toEqual([7, 2]);
  });

  test("loads by name where the order differs", () => {
    const turned = schema(1, { mode: u8, count: u32 });
    const ours = turned.layout.alloc();
    loadRecord(saved(v1, { count: 7, mode: 2 }), turned, ours.$bytes);
    expect([ours.count, ours.mode]).toEqual([7, 2]);
  });

  test("is refused where a field is missing, unknown, or of another type", () => {
    const target = new Uint8Array(64);
    expect(() => loadRecord(saved(schema(1, { count: u32 }), {}), v1, target)).toThrow('"mode" is missing');
    const more = schema(1, { count: u32, mode: u8, extra: u8 });
    expect(() => loadRecord(saved(more, {}), v1, target)).toThrow('"extra" is unknown');
    const narrow = schema(1, { count: u64, mode: u8 });
    expect(() => loadRecord(saved(narrow, {}), v1, target)).toThrow(
      '"count" is u64 and this version has u32',
    );
  });

  test("of another kind is refused", () => {
    const other = { ...saved(v1, {}), kind: "uart" };
    expect(() => loadRecord(other, v1, new Uint8Array(8))).toThrow("the device of this name is a timer");
  });
});

describe("a record of an older version", () => {
  const v1 = schema(1, { count: u32, gone: u8 });
  const v2 = schema(2, { count: u32, period: u32 }, { since: { period: 2 } });

  test("leaves newer fields at their reset values, and drops those that are no more", () => {
    const ours = v2.layout.of({ period: 100 });
    loadRecord(saved(v1, { count: 7, gone: 9 }), v2, ours.$bytes);
    expect([ours.count, ours.period]).toEqual([7, 100]);
  });

  test("is refused where it lacks a field that its version had", () => {
    const poor = schema(1, { gone: u8 });
    expect(() => loadRecord(saved(poor, {}), v2, new Uint8Array(8))).toThrow('"count" is missing');
  });
});

describe("a record of a newer version", () => {
  const v1 = schema(1, { count: u32 });
  const v2 = (compat: number) => schema(2, { count: u32, period: u32 }, { compat });

  test("loads without what is new where it says that our version can", () => {
    const ours = v1.layout.alloc();
    loadRecord(saved(v2(1), { count: 7, period: 5 }), v1, ours.$bytes);
    expect(ours.count).toBe(7);
  });

  test("is refused where it says that our version cannot", () => {
    expect(() => loadRecord(saved(v2(2), {}), v1, new Uint8Array(8))).toThrow("version 2 is the oldest");
  });

  test("is refused where a field of ours is missing, though it says that we can", () => {
    const without = schema(2, { period: u32 }, { compat: 1 });
    expect(() => loadRecord(saved(without, {}), v1, new Uint8Array(8))).toThrow('"count" is missing');
  });
});

describe("an integer", () => {
  const load = (from: Fields, to: Fields, value: unknown) => {
    const ours = schema(2, to).layout.alloc();
    ours.$bytes.fill(0xaa);
    loadRecord(saved(schema(1, from), { n: value }), schema(2, to), ours.$bytes);
    return (ours as unknown as { n: number | bigint }).n;
  };

  test("may have grown wider, and keeps its value", () => {
    expect(load({ n: u8 }, { n: u32 }, 0xfe)).toBe(0xfe);
    expect(load({ n: u16 }, { n: u64 }, 0xfffe)).toBe(0xfffen);
    expect(load({ n: i8 }, { n: i32 }, -2)).toBe(-2);
    expect(load({ n: i32 }, { n: i64 }, -3)).toBe(-3n);
    expect(load({ n: u32 }, { n: i64 }, 0xffffffff)).toBe(0xffffffffn);
  });

  test("may not have become narrower, nor lost or gained a sign that changes values", () => {
    expect(() => load({ n: u32 }, { n: u16 }, 1)).toThrow("n");
    expect(() => load({ n: i8 }, { n: u32 }, 1)).toThrow("n");
    expect(() => load({ n: u32 }, { n: i32 }, 1)).toThrow("n");
  });
});

test("nothing is written where loading is refused", () => {
  const v1 = schema(1, { count: u32, mode: u8 });
  const target = v1.layout.of({ count: 1, mode: 2 });
  expect(() => loadRecord(saved(schema(1, { count: u32 }), { count: 9 }), v1, target.$bytes)).toThrow();
  expect([target.count, target.mode]).toEqual([1, 2]);
});

describe("matching records with devices", () => {
  const record = (name: string) => ({ ...saved(schema(1, { count: u32 }), {}), name });

  test("pairs them by name, and warns of a device that the state does not have", () => {
    const { pairs, warnings } = matchRecords(
      [record("b"), record("a")],
      [{ name: "a" }, { name: "b" }, { name: "c" }],
    );
    expect(pairs.map(({ saved: s, present }) => [s.name, present.name])).toEqual([
      ["b", "b"],
      ["a", "a"],
    ]);
    expect(warnings).toEqual(['"c" is not in the saved state: it keeps its reset value']);
  });

  test("refuses a record whose device is not there, by name", () => {
    expect(() => matchRecords([record("nic0")], [{ name: "a" }])).toThrow(
      'saved record "nic0" (timer version 1)',
    );
  });
});
