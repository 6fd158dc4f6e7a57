import { expect, test } from "bun:test";
import { COMMANDS, helpGroups, loadCommand } from "../commands/index.ts";
import { commandHelp, overview } from "./help.ts";
import { nearest } from "./nearest.ts";
import { table, wrap } from "./text.ts";

const names = Object.keys(COMMANDS);
const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));

test.each(names)(
  "the help of vmm %s fits in 80 columns and has an example and every option",
  async (name) => {
    const spec = await loadCommand(name);
    if (!spec) throw new Error(`${name} does not load`);
    const help = commandHelp(spec);
    expect(widest(help)).toBeLessThanOrEqual(80);
    expect(help).toContain(`Usage: vmm ${name}`);
    expect(help).toMatch(/Examples:\n {2}vmm /);
    for (const option of Object.keys(spec.options)) expect(help).toContain(`--${option}`);
    expect(spec.examples.length).toBeGreaterThan(0);
  },
);

test("the overview fits in 80 columns, and lists every command and every exit status", () => {
  const text = overview(helpGroups());
  expect(widest(text)).toBeLessThanOrEqual(80);
  for (const name of names) expect(text).toMatch(new RegExp(`^  ${name} `, "m"));
  for (const status of [0, 1, 2, 3]) expect(text).toMatch(new RegExp(`^  ${status} `, "m"));
});

test("what the examples show is understood by the commands", async () => {
  const { parseCommand } = await import("./parse-command.ts");
  for (const name of names) {
    const spec = await loadCommand(name);
    for (const [line] of spec?.examples ?? []) {
      const [first, ...words] = line.replace(/ [<>|] .*/, "").split(" ") as [string, ...string[]];
      expect(first).toBe(name);
      if (spec) parseCommand(spec, words);
    }
  }
});

test("a mistyped word finds the one that was meant, and a strange one none", () => {
  expect(nearest("strat", names)).toBe("start");
  expect(nearest("stat", names)).toBe("status");
  expect(nearest("migrat", names)).toBe("migrate");
  expect(nearest("xyzzy", names)).toBeUndefined();
});

test("text is broken between words, and a word that is too long stays whole", () => {
  expect(wrap("aa bb cc", 5)).toEqual(["aa bb", "cc"]);
  expect(wrap("aaaaaaaa b", 3)).toEqual(["aaaaaaaa", "b"]);
  expect(wrap("", 10)).toEqual([]);
});

test("columns of a table are as wide as their widest cell", () => {
  expect(
    table([
      ["a", "bb"],
      ["ccc", "d"],
    ]),
  ).toEqual(["a    bb", "ccc  d"]);
});
