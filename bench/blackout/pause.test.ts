import { describe, expect, test } from "bun:test";
import type { Standstill } from "../lib/observer/log.ts";
import { pauseOf } from "./pause.ts";

/** A standstill, in ms. */
const still = (cpu: number, start: number, end: number, uncertainty = 0.02): Standstill => ({
  cpu,
  start: start * 1e6,
  end: end * 1e6,
  ns: (end - start) * 1e6,
  uncertainty: uncertainty * 1e6,
});

describe("the pause of a guest", () => {
  test("of one vCPU is its longest standstill; others nearby count in the sum", () => {
    const seen = [still(0, 5, 6), still(0, 100, 108), still(0, 110, 113), still(0, 400, 401)];
    expect(pauseOf(seen, 1)).toEqual({ start: 100e6, end: 108e6, ms: 8, sumMs: 11, uncertaintyMs: 0.02 });
  });

  test("of several goes from the first one's stop until the last one runs", () => {
    const seen = [still(0, 100, 107), still(1, 101, 109, 0.3), still(1, 20, 22)];
    expect(pauseOf(seen, 2)).toEqual({ start: 100e6, end: 109e6, ms: 9, sumMs: 8, uncertaintyMs: 0.3 });
  });

  test("is unknown where a vCPU was not seen to stand still", () => {
    expect(pauseOf([], 1)).toBeUndefined();
    expect(pauseOf([still(0, 1, 9)], 2)).toBeUndefined();
  });
});
