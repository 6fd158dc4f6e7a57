import { expect, test } from "bun:test";
import fc from "fast-check";
import { type LabInvocation, parseLabArguments } from "./arguments.ts";
import { LabError } from "./errors.ts";
import { shellQuote } from "./job.ts";
import { DEFAULT_LAB_OPTIONS } from "./options.ts";

test("the first word that is no option begins the command, with or without --", () => {
  const expected: LabInvocation = {
    help: false,
    argv: ["bun", "test", "--bail"],
    options: DEFAULT_LAB_OPTIONS,
  };
  expect(parseLabArguments(["--", "bun", "test", "--bail"])).toEqual(expected);
  expect(parseLabArguments(["bun", "test", "--bail"])).toEqual(expected);
});

test("options are taken up to the command, with their values after = or as the next word", () => {
  const words = "--memory=8G --cpus 4 --timeout 1.5 --standstill 9 --env A=b=c --hugepages 2M:8".split(" ");
  expect(parseLabArguments([...words, "--env=B=", "true", "--memory", "x"])).toEqual({
    help: false,
    argv: ["true", "--memory", "x"],
    options: {
      ...{ memory: "8G", cpus: 4, timeoutSeconds: 1.5, standstillSeconds: 9, env: { A: "b=c", B: "" } },
      ...{ hugepages: ["2M:8"], expose: [] },
    },
  });
});

test.each([
  [[], "no command"],
  [["--memory"], "--memory lacks its value"],
  [["--memory", "512Q", "true"], "memory 512Q"],
  [["--cpus", "9", "true"], "cpus 9"],
  [["--cpus", "two", "true"], "cpus NaN"],
  [["--timeout", "-1", "true"], "timeout -1"],
  [["--standstill", "0", "true"], "standstill 0"],
  [["--env", "A", "true"], "env A: give NAME=VALUE"],
  [["--env", "A B=1", "true"], "env A B"],
  [["--hugepages", "4M:1", "true"], "hugepages 4M:1"],
  [["--expose", "/no/such", "true"], "expose /no/such: no such file"],
  [["--nosuch", "1", "true"], "unknown option --nosuch"],
])("%p is refused in one line", (words, reason) => {
  const parse = () => parseLabArguments(words);
  expect(parse).toThrow(LabError);
  expect(parse).toThrow(reason);
});

test("a quoted word is one word to a shell, whatever is in it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (word) => {
      fc.pre(!word.includes("\0"));
      const { stdout } = Bun.spawnSync(["sh", "-c", `printf %s ${shellQuote(word)}`]);
      expect(stdout.equals(Buffer.from(word))).toBe(true);
    }),
    { numRuns: 50 },
  );
});
