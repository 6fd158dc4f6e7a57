import { expect, test } from "bun:test";
import fc from "fast-check";
import { command } from "./command.ts";
import { parseCommand } from "./parse-command.ts";

const spec = command({
  name: "try",
  summary: "Try.",
  args: [
    { name: "NAME", summary: "A name", optional: true },
    { name: "WORD", summary: "More", optional: true, variadic: true },
  ],
  rest: { name: "COMMAND", summary: "A command", variadic: true },
  options: {
    size: { value: "SIZE", summary: "A size" },
    device: { value: "D", summary: "A device", repeat: true },
    json: { summary: "JSON" },
  },
  examples: [["try", "Try"]],
  run: async () => 0,
});
const strict = command({
  ...spec,
  name: "one",
  args: [{ name: "SHELL", summary: "One" }],
  rest: undefined as never,
});

test("options take their value from the next word or after an equals sign", () => {
  for (const words of [
    ["--size", "1=2", "a"],
    ["a", "--size=1=2"],
  ]) {
    const { options, args } = parseCommand(spec, words);
    expect(options.size).toBe("1=2");
    expect(args).toEqual(["a"]);
  }
});

test("switches are false until given, lists collect, values are absent until given", () => {
  expect(parseCommand(spec, []).options).toMatchObject({ json: false, device: [], size: undefined });
  const { options } = parseCommand(spec, ["--json", "--device", "a", "--device=b"]);
  expect(options).toMatchObject({ json: true, device: ["a", "b"] });
});

test("a value may look like an option", () => {
  expect(parseCommand(spec, ["--size", "-5"]).options.size).toBe("-5");
});

test("the words after -- are left as they are", () => {
  const { args, rest } = parseCommand(spec, ["web", "--", "cmd", "--size", "-x"]);
  expect(args).toEqual(["web"]);
  expect(rest).toEqual(["cmd", "--size", "-x"]);
  expect(parseCommand(spec, ["web"]).rest).toBeUndefined();
});

test("--help is heard whatever else is missing", () => {
  expect(parseCommand(strict, ["--help"]).help).toBe(true);
  expect(parseCommand(strict, ["-h"]).help).toBe(true);
});

test.each([
  [["--sise", "1"], "unknown option --sise; did you mean --size?"],
  [["--colour"], "unknown option --colour; see vmm try --help"],
  [["--constructor"], "unknown option --constructor"],
  [["-x"], "unknown option -x; options are long"],
  [["--size"], "--size needs a value: --size SIZE"],
  [["--size", "1", "--size=2"], "--size is given twice"],
  [["--json=yes"], "--json takes no value"],
  [["a", "--"], "there is nothing after --"],
] as const)("%j is refused: %s", (words, reason) => {
  expect(() => parseCommand(spec, words)).toThrow(reason);
});

test("arguments that are missing or too many are named", () => {
  expect(() => parseCommand(strict, [])).toThrow("SHELL is missing; see vmm one --help");
  expect(() => parseCommand(strict, ["a", "b"])).toThrow('vmm one takes only SHELL, not also "b"');
  expect(() => parseCommand({ ...strict, args: [] }, ["b"])).toThrow(
    'vmm one takes no arguments, not also "b"',
  );
});

test("any words are either understood or refused in one line with status 2", () => {
  const word = fc.oneof(fc.string(), fc.constantFrom("--size", "--json", "--", "--device=x", "-h", "--help"));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      try {
        parseCommand(spec, words);
      } catch (error) {
        expect(error).toMatchObject({ name: "UsageError", exitCode: 2 });
      }
    }),
  );
});
