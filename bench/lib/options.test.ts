import { expect, test } from "bun:test";
import { helpText, parseOptions, UsageError } from "./options.ts";

const specs = {
  updates: { kind: "number", help: "how many", default: 200 },
  memory: { kind: "text", help: "RAM" },
  mode: { kind: ["cpr-exec", "cpr-transfer"], help: "how", default: "cpr-exec" },
  json: { kind: "flag", help: "print JSON" },
} as const;

test("options come as `--name value` or `--name=value`, with defaults", () => {
  const none = { updates: 200, memory: undefined, mode: "cpr-exec", json: false } as const;
  expect(parseOptions(specs, [])).toEqual(none);
  const given = parseOptions(specs, ["--updates", "5", "--memory=1G", "--json", "--mode", "cpr-transfer"]);
  expect(given).toEqual({ updates: 5, memory: "1G", mode: "cpr-transfer", json: true });
});

test.each([
  [["--update", "5"], "unknown option --update; try --help"],
  [["updates"], "unknown option updates; try --help"],
  [["--toString"], "unknown option --toString; try --help"],
  [["--updates"], "--updates needs a value"],
  [["--updates", "0"], "--updates 0: not a whole number above 0"],
  [["--updates", "-3"], "--updates -3: not a whole number above 0"],
  [["--mode", "fast"], "--mode fast: it takes cpr-exec or cpr-transfer"],
])("a wrong command line is told in one line: %p", (argv, message) => {
  expect(() => parseOptions(specs, argv)).toThrow(new UsageError(message));
});

test("the help names each option", () => {
  const text = helpText("bench:x", "Measures x.", specs);
  expect(text).toContain("Usage: bun run bench:x -- [OPTIONS]");
  expect(text).toContain("--mode cpr-exec|cpr-transfer");
  expect(text).toContain("how many (default: 200)");
});
