import { describe, expect, test } from "bun:test";
import { LullWatch } from "./lull.ts";

const MS = 1e6;

/** Looks each ms at vCPUs of which `at` tells what they have done; returns when the lull was seen, within 100 ms. */
function lullOf(at: (ms: number) => [accesses: number, ranMs: number | undefined][]): number | undefined {
  const samples = (ms: number) =>
    at(ms).map(([accesses, ran]) => ({ accesses, ranNs: ran === undefined ? undefined : ran * MS }));
  const watch = new LullWatch(samples(0));
  for (let ms = 1; ms <= 100; ms++) if (watch.look(ms * MS, samples(ms))) return ms;
  return undefined;
}

describe("a lull", () => {
  test("is seen when a vCPU has run for 2 ms after its last access", () => {
    expect(lullOf((ms) => [[Math.min(ms, 10), ms]])).toBe(12);
  });

  test("is none before the first access", () => {
    expect(lullOf((ms) => [[7, ms]])).toBeUndefined();
  });

  test("is none while a vCPU waits for its turn in the midst of a burst", () => {
    // off its processor from 10 to 18 ms, and on with the burst until 20
    const ran = (ms: number) => Math.min(ms, 10) + Math.max(0, ms - 18);
    expect(lullOf((ms) => [[Math.min(ran(ms), 12), ran(ms)]])).toBe(22);
  });

  test("is seen after 12 ms where the vCPU has halted, or how long it ran cannot be told", () => {
    expect(lullOf((ms) => [[Math.min(ms, 10), Math.min(ms, 11)]])).toBe(22);
    expect(lullOf((ms) => [[Math.min(ms, 10), undefined]])).toBe(22);
  });

  test("waits for each vCPU that has had a burst, and for no other", () => {
    const idle: [number, number] = [0, 0];
    expect(lullOf((ms) => [idle, [Math.min(ms, 10), ms]])).toBe(12);
    expect(lullOf((ms) => [[Math.min(ms, 30), ms], idle, [Math.min(ms, 10), ms]])).toBe(32);
  });
});
