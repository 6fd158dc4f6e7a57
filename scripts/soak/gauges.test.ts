import { expect, test } from "bun:test";
import { judgeGrowth, type Sample } from "./gauges.ts";

const MIB = 2 ** 20;

function samples(count: number, change: (i: number) => Partial<Sample> = () => ({})): Sample[] {
  return Array.from({ length: count }, (_, i) => ({
    mode: "cpr-exec",
    update: i,
    fds: 19,
    threads: 2,
    children: 0,
    processes: 0,
    rss: 40 * MIB + (i % 5) * 100_000,
    state: 87_680 + (i % 3),
    ...change(i),
  }));
}

const grown = (all: readonly Sample[]) =>
  judgeGrowth(all)
    .filter((growth) => growth.grown)
    .map(({ gauge }) => gauge);

test("what goes up and down does not grow", () => {
  expect(grown(samples(30))).toEqual([]);
  expect(grown(samples(30, (i) => ({ rss: 40 * MIB + (i % 2) * 8 * MIB })))).toEqual([]);
});

test("one fd more at the end is growth, and so is a leak in each update", () => {
  expect(grown(samples(30, (i) => ({ fds: i < 20 ? 19 : 20 })))).toEqual(["fds"]);
  expect(grown(samples(60, (i) => ({ rss: 40 * MIB + i * 200_000 })))).toEqual(["rss"]);
  expect(grown(samples(30, (i) => ({ state: 87_680 + 16 * i })))).toEqual(["state"]);
});

test("one bad sample among the last is none", () => {
  expect(grown(samples(30, (i) => ({ children: i === 29 ? 1 : 0 })))).toEqual([]);
});

test("modes are compared with themselves", () => {
  const modes = ["cpr-exec", "cpr-transfer"];
  const mixed = samples(40, (i) => ({ mode: modes[i % 2] as string, fds: i % 2 === 0 ? 19 : 25 }));
  expect(grown(mixed)).toEqual([]);
});
