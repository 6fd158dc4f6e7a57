import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { VmmError } from "../vmm-error.ts";
import { Bus, type BusRange, type BusTarget } from "./bus.ts";

const silent: BusTarget = { read: () => 0, write: () => {} };
const range = (name: string, base: number, size: number, target = silent): BusRange => ({
  name,
  base,
  size,
  target,
});

function codeOf(action: () => void): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof VmmError) return error.code;
    throw error;
  }
  return undefined;
}

describe("a bus", () => {
  test("hands an access to the range's owner, by offset", () => {
    const seen: unknown[] = [];
    const bus = new Bus("I/O port", 0x10000);
    const read = (offset: number, size: number) => seen.push(["read", offset, size]) + 0x40;
    const write = (...args: number[]) => void seen.push(["write", ...args]);
    bus.claim(range("uart", 0x3f8, 8, { read, write }));
    expect(bus.read(0x3fd, 1)).toBe(0x41);
    bus.write(0x3f8, 2, 0x1234);
    expect(seen).toEqual([
      ["read", 5, 1],
      ["write", 0, 2, 0x1234],
    ]);
  });

  test("gives all ones for a read that nobody claims and drops such a write", () => {
    const bus = new Bus("memory", 2 ** 52);
    expect([1, 2, 4].map((size) => bus.read(0xfee00000, size))).toEqual([0xff, 0xffff, 0xffffffff]);
    bus.write(0xfee00000, 4, 1);
  });

  test("gives unsigned values of the size that was asked for, whatever the device returns", () => {
    const bus = new Bus("I/O port", 0x10000);
    bus.claim(range("wild", 0, 8, { read: () => -2, write: () => {} }));
    expect([1, 2, 4].map((size) => bus.read(0, size))).toEqual([0xfe, 0xfffe, 0xfffffffe]);
  });

  test("names both owners of an overlap and keeps the first", () => {
    const bus = new Bus("I/O port", 0x10000);
    bus.claim(range("first", 0x60, 5));
    expect(() => bus.claim(range("second", 0x64, 1))).toThrow(
      /second: I\/O port range 0x64\+0x1 overlaps first at 0x60\+0x5/,
    );
    expect(bus.find(0x64)?.name).toBe("first");
    bus.claim(range("third", 0x65, 1));
  });

  test("refuses ranges that leave it, are empty, or are no whole numbers", () => {
    const bus = new Bus("I/O port", 0x10000);
    for (const [base, size] of [
      [0xffff, 2],
      [-1, 2],
      [0x10000, 1],
      [0, 0],
      [0, -1],
      [0.5, 1],
      [0, 1.5],
      [Number.NaN, 1],
      [0, Number.NaN],
      [0, Infinity],
    ] as const) {
      expect(codeOf(() => bus.claim(range("bad", base, size)))).toBe("bus-range");
    }
    expect(bus.ranges()).toEqual([]);
    bus.claim(range("all", 0, 0x10000));
  });

  test("forgets a range that was released, also the one that was hit last", () => {
    const bus = new Bus("memory", 2 ** 52);
    const bar = range("bar", 0xc0000000, 0x1000, { read: () => 7, write: () => {} });
    bus.claim(bar);
    expect(bus.read(0xc0000000, 1)).toBe(7);
    bus.release(bar);
    expect(bus.read(0xc0000000, 1)).toBe(0xff);
    bus.claim({ ...bar, base: 0xc0001000 });
    expect(bus.read(0xc0001fff, 1)).toBe(7);
  });

  test("reaches addresses above 4 GiB", () => {
    const bus = new Bus("memory", 2 ** 52);
    const base = 2 ** 40;
    bus.claim(
      range("high", base, 2 ** 33, { read: (offset) => (offset === 2 ** 32 + 4 ? 1 : 0), write: () => {} }),
    );
    expect(bus.read(base + 2 ** 32 + 4, 4)).toBe(1);
    expect(bus.find(base + 2 ** 33)).toBeUndefined();
  });

  test("finds for every address what a table of all addresses would say", () => {
    const size = 200;
    const steps = fc.array(
      fc.oneof(
        fc.record({ base: fc.nat(size), size: fc.integer({ min: 1, max: 30 }) }),
        fc.record({ release: fc.nat(20) }),
        fc.record({ look: fc.nat(size - 1) }),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const bus = new Bus("test", size);
        const owners: (BusRange | undefined)[] = Array(size).fill(undefined);
        all.forEach((step, i) => {
          if ("look" in step) expect(bus.find(step.look)).toBe(owners[step.look]);
          else if ("release" in step) {
            const victim = bus.ranges()[step.release];
            if (victim) bus.release(victim);
            owners.forEach((owner, at) => {
              if (owner === victim) owners[at] = undefined;
            });
          } else {
            const claimed = range(`r${i}`, step.base, step.size);
            const outside = step.base + step.size > size;
            const taken = owners.slice(step.base, step.base + step.size).some(Boolean);
            const expected = outside ? "bus-range" : taken ? "bus-overlap" : undefined;
            expect(codeOf(() => bus.claim(claimed))).toBe(expected);
            if (!expected) owners.fill(claimed, step.base, step.base + step.size);
          }
        });
        for (let at = 0; at < size; at++) expect(bus.find(at)).toBe(owners[at]);
      }),
    );
  });
});
