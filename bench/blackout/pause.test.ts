import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Standstill } from "../lib/observer/log.ts";
import { episodesIn, episodesOf, pauseOf } from "./pause.ts";

/** A standstill, in ms. */
const still = (cpu: number, start: number, end: number, uncertainty = 0.02): Standstill => ({
  cpu,
  start: start * 1e6,
  end: end * 1e6,
  ns: (end - start) * 1e6,
  uncertainty: uncertainty * 1e6,
});

const spans = (seen: Standstill[], cpus: number) =>
  episodesOf(seen, cpus).map(({ start, end }) => [start / 1e6, end / 1e6]);

describe("the guest's standstills", () => {
  test("with one vCPU are that vCPU's", () => {
    expect(spans([still(0, 5, 6), still(0, 100, 108)], 1)).toEqual([
      [5, 6],
      [100, 108],
    ]);
  });

  test("with several go from the first one's stop until the last one runs", () => {
    expect(spans([still(1, 101, 109), still(0, 100, 107)], 2)).toEqual([[100, 109]]);
  });

  test("are none where one vCPU runs at each moment", () => {
    expect(spans([still(0, 10, 20), still(1, 20, 30), still(0, 30, 40)], 2)).toEqual([]);
    expect(spans([still(0, 10, 20), still(1, 12, 18), still(3, 5, 50)], 4)).toEqual([]);
    expect(spans([], 1)).toEqual([]);
  });

  test("are one where a vCPU stands still through two stops of another", () => {
    expect(spans([still(0, 0, 100), still(1, 10, 20), still(1, 30, 40)], 2)).toEqual([[0, 100]]);
  });

  test("do not overlap, are in order, and lie within what was seen", () => {
    const one = fc.tuple(fc.nat(2), fc.nat(200), fc.integer({ min: 1, max: 30 }));
    fc.assert(
      fc.property(fc.array(one), (list) => {
        const seen = list.map(([cpu, start, length]) => still(cpu, start, start + length));
        const found = spans(seen, 3) as [number, number][];
        found.forEach(([start, end], i) => {
          expect(end).toBeGreaterThan(start);
          if (i > 0) expect(start).toBeGreaterThanOrEqual(found[i - 1]?.[1] as number);
          expect(seen.some((s) => s.start / 1e6 === start)).toBe(true);
          expect(seen.some((s) => s.end / 1e6 === end)).toBe(true);
        });
      }),
    );
  });
});

test("standstills in an interval are those of which a part lies in it", () => {
  const seen = [still(0, 1, 2), still(0, 3, 5), still(0, 6, 9), still(0, 10, 11)];
  const found = episodesIn(episodesOf(seen, 1), [{ start: 4e6, end: 7e6 }]);
  expect(found.map(({ start, end }) => [start / 1e6, end / 1e6])).toEqual([
    [3, 5],
    [6, 9],
  ]);
});

describe("what an update cost the guest", () => {
  test("is the longest standstill, and all of them in sum", () => {
    const seen = [still(0, 10, 12, 0.01), still(0, 30, 35, 0.03)];
    expect(pauseOf(seen, 1)).toEqual({ longestMs: 5, totalMs: 7, episodes: 2, uncertaintyMs: 0.03 });
  });

  test("is unknown where nothing was seen", () => {
    expect(pauseOf([], 1)).toBeUndefined();
    expect(pauseOf([still(0, 1, 9)], 2)).toBeUndefined();
  });
});
