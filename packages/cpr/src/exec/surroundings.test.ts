import { expect, test } from "bun:test";
import type { Json } from "../json-check.ts";
import { describeSurroundings, environmentOf, readSurroundings } from "./surroundings.ts";

const throughJson = (value: unknown) => JSON.parse(JSON.stringify(value)) as Json;

test("what is around a process comes back from JSON as it was, limits without a limit too", () => {
  const env = { HOME: "/root", EMPTY: "", EQUAL: "a=b=", LINES: "a\nb", UNSET: undefined };
  const around = describeSurroundings(env);
  expect(around.limits.some(({ hard }) => hard === Number.POSITIVE_INFINITY)).toBe(true);
  expect(readSurroundings(throughJson(around))).toEqual(around);
  const { UNSET: _, ...set } = env;
  expect(environmentOf(around)).toEqual(set);
});

test("a variable of any name is one of the environment and nothing else", () => {
  const environment = ["__proto__=x", "=C:=y", "constructor=z"];
  const env = environmentOf({ environment, umask: 0, limits: [] });
  expect(Object.entries(env)).toEqual([
    ["__proto__", "x"],
    ["=C:", "y"],
    ["constructor", "z"],
  ]);
});

test("what a newer version says beyond what this one knows is left out", () => {
  const limits = [
    { name: "NEWER", soft: "what", hard: 1 },
    { name: "NOFILE", soft: 3, hard: null, unit: "fds" },
  ];
  expect(readSurroundings({ environment: [], umask: 0o022, limits, nice: 5 })).toEqual({
    environment: [],
    umask: 0o022,
    limits: [{ name: "NOFILE", soft: 3, hard: Number.POSITIVE_INFINITY }],
  });
});

test("what makes no sense is refused by its part", () => {
  const good = { environment: [], umask: 0, limits: [] };
  for (const [change, part] of [
    [{ environment: [1] }, "environment[0]"],
    [{ environment: null }, "environment"],
    [{ umask: 0o1000 }, "umask"],
    [{ limits: [{ name: "CPU", soft: 1 }] }, "limits[0].hard"],
    [{ limits: {} }, "limits"],
  ] as const) {
    expect(() => readSurroundings({ ...good, ...change })).toThrow(`surroundings: ${part} is not`);
  }
});
