import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { open } from "./fd.ts";
import { getrlimit, RLIMIT, type RlimitName, setrlimit } from "./rlimit.ts";

test("every limit is as the kernel tells it", () => {
  // A line is a name padded to 26 columns, the soft limit, the hard limit, and a unit, in the order of the numbers.
  const lines = readFileSync("/proc/self/limits", "latin1").trim().split("\n").slice(1);
  const told = lines.map((line) => {
    const [soft, hard] = line.slice(26).trim().split(/\s+/);
    const number = (text: string | undefined) => (text === "unlimited" ? Infinity : Number(text));
    return { soft: number(soft), hard: number(hard) };
  });
  const names = Object.keys(RLIMIT) as RlimitName[];
  expect(names.map(getrlimit)).toEqual(told);
});

test("setting a limit to what it is changes nothing, unlimited or not", () => {
  const names = Object.keys(RLIMIT) as RlimitName[];
  const before = names.map(getrlimit);
  expect(before.some(({ soft }) => soft === Infinity)).toBe(true);
  for (const name of names) setrlimit(name, getrlimit(name));
  expect(names.map(getrlimit)).toEqual(before);
});

test("a lowered limit holds, and can be raised again to the hard one", () => {
  const old = getrlimit("NOFILE");
  try {
    setrlimit("NOFILE", { soft: 0, hard: old.hard });
    expect(getrlimit("NOFILE")).toEqual({ soft: 0, hard: old.hard });
    expect(() => open("/dev/null", 0)).toThrow("open /dev/null: EMFILE");
  } finally {
    setrlimit("NOFILE", old);
  }
  expect(getrlimit("NOFILE")).toEqual(old);
});

test("a soft limit above the hard one is refused", () => {
  expect(() => setrlimit("CORE", { soft: 2, hard: 1 })).toThrow("setrlimit CORE to 2:1: EINVAL");
});
