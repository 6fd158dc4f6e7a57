import { describe, expect, test } from "bun:test";
import { bytes, struct, u8, u32 } from "@vmm/libc";
import fc from "fast-check";
import { ARENA_SIZE, type RecordSchema, StateArena } from "./state-arena.ts";

const schemaOf = (size: number, kind = "test", version = 1) =>
  ({ kind, version, compat: 1, layout: struct("test", { data: bytes(size) }) }) satisfies RecordSchema;

const PAIR = {
  kind: "pair",
  version: 1,
  compat: 1,
  layout: struct("pair", { low: u8, high: u32 }),
} satisfies RecordSchema;

describe("the state arena", () => {
  test("starts zeroed, and every page of it can be claimed", () => {
    const record = new StateArena().record("all", schemaOf(ARENA_SIZE));
    expect(record.data.length).toBe(ARENA_SIZE);
    expect(record.data.every((value) => value === 0)).toBe(true);
  });

  test("shows one thread what another wrote", () => {
    const main = new StateArena();
    const vcpu = new StateArena(main.buffer);
    for (const arena of [main, vcpu]) arena.record("before", schemaOf(100));
    const [ours, theirs] = [main, vcpu].map((arena) => arena.record("pair", PAIR));
    if (!ours || !theirs) throw new Error("no records");
    ours.low = 7;
    theirs.high = 0xdeadbeef;
    expect([theirs.low, ours.high]).toEqual([7, 0xdeadbeef]);
  });

  test("gives a record's bytes in place", () => {
    const arena = new StateArena();
    const pair = arena.record("pair", PAIR);
    const [record] = arena.records();
    if (!record) throw new Error("no record");
    arena.bytesOf(record).set([1, 0, 0, 0, 2]);
    expect([pair.low, pair.high, arena.bytesOf(record).length]).toEqual([1, 2, 8]);
  });

  test("refuses a name twice and says what to do", () => {
    const arena = new StateArena();
    arena.record("serial0", PAIR);
    expect(() => arena.record("serial0", PAIR)).toThrow(/"serial0" is claimed twice: give each device an id/);
    expect(arena.records().length).toBe(1);
  });

  test("refuses what does not fit, and still has room for what does", () => {
    const arena = new StateArena(new SharedArrayBuffer(256));
    arena.record("a", schemaOf(100));
    expect(() => arena.record("b", schemaOf(129))).toThrow(/"b" of 129 bytes does not fit/);
    arena.record("b", schemaOf(128));
    expect(() => arena.record("c", schemaOf(1))).toThrow(/does not fit/);
  });

  test("places records apart, at cache lines, in the order of their claims", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 100 }), (sizes) => {
        const arena = new StateArena();
        sizes.forEach((size, i) => void arena.record(`r${i}`, schemaOf(size)));
        const records = arena.records();
        expect(records.map(({ name }) => name)).toEqual(sizes.map((_, i) => `r${i}`));
        let end = 0;
        for (const { offset, schema } of records) {
          expect(offset % 64).toBe(0);
          expect(offset).toBeGreaterThanOrEqual(end);
          end = offset + schema.layout.size;
        }
      }),
    );
  });

  test("has the same digest for the same claims, and another for any other", () => {
    const claim = fc.record({
      name: fc.constantFrom("a", "b", "c"),
      kind: fc.constantFrom("x", "y"),
      version: fc.integer({ min: 1, max: 2 }),
      size: fc.constantFrom(8, 200),
    });
    const claims = fc.uniqueArray(claim, { selector: ({ name }) => name });
    const digest = (all: { name: string; kind: string; version: number; size: number }[]) => {
      const arena = new StateArena();
      for (const { name, kind, version, size } of all) arena.record(name, schemaOf(size, kind, version));
      // a size shows in the place of the record behind it
      arena.record("end", schemaOf(1));
      return arena.digest();
    };
    fc.assert(
      fc.property(claims, claims, (one, other) => {
        expect(digest(one)).toBe(digest([...one]));
        expect(digest(one) === digest(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });
});
