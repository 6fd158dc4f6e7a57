import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { median, percentile, slope, summarize } from "./statistics.ts";

const series = fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 1 });

describe("percentile", () => {
  test("is the value at the nearest rank", () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i);
    expect([0, 1, 50, 99, 99.5, 100].map((p) => percentile(values, p))).toEqual([1, 2, 100, 198, 199, 200]);
    expect(percentile([7], 99)).toBe(7);
  });

  test("is a measured value, and no fewer than so many percent do not exceed it", () => {
    fc.assert(
      fc.property(series, fc.double({ min: 0, max: 100, noNaN: true }), (values, percent) => {
        const p = percentile(values, percent);
        expect(values).toContain(p);
        expect(values.filter((v) => v <= p).length).toBeGreaterThanOrEqual((percent / 100) * values.length);
      }),
    );
  });
});

describe("median", () => {
  test("lies in the middle, and between the two middle values of an even number", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

test("a summary is in order, and leaves the series as it was", () => {
  fc.assert(
    fc.property(series, (values) => {
      const before = [...values];
      const { count, min, median, p90, p99, max } = summarize(values);
      expect(count).toBe(values.length);
      expect(min).toBeLessThanOrEqual(median);
      expect(p90).toBeLessThanOrEqual(p99);
      expect(p99).toBeLessThanOrEqual(max);
      expect(median).toBeLessThanOrEqual(max);
      expect(values).toEqual(before);
    }),
  );
});

test("the slope is what y grows by with each x", () => {
  expect(
    slope([
      [1, 10],
      [2, 12],
      [4, 16],
    ]),
  ).toBeCloseTo(2, 10);
  expect(slope([[3, 5]])).toBe(0);
});
