import { expect, test } from "bun:test";
import { parseQmpArguments } from "./arguments.ts";
import { parseLine } from "./interactive.ts";

test("arguments are one object in JSON, or words", () => {
  expect(parseQmpArguments(['{"a": 1}'])).toEqual({ a: 1 });
  expect(parseQmpArguments(["a=1", "b=text", "c=true", 'd="1"', "e.f=x=y", "g=[1]"])).toEqual({
    a: 1,
    b: "text",
    c: true,
    d: "1",
    e: { f: "x=y" },
    g: [1],
  });
  expect(parseQmpArguments([])).toEqual({});
});

test("what is neither is refused", () => {
  expect(() => parseQmpArguments(["{"])).toThrow("not JSON");
  expect(() => parseQmpArguments(["word"])).toThrow('"word" is neither');
  expect(() => parseQmpArguments(["=x"])).toThrow("neither");
  expect(() => parseQmpArguments(["a=1", "a.b=2"])).toThrow('"a" has a value already');
});

test("a key named like a part of every object is a key like any other", () => {
  const parsed = parseQmpArguments(["__proto__.x=1", "constructor=2"]);
  expect(({} as { x?: number }).x).toBeUndefined();
  expect(Object.hasOwn(parsed, "constructor")).toBe(true);
});

test("a line of a session is a command with words, with JSON, or JSON as a whole", () => {
  expect(parseLine("query-status")).toEqual({ execute: "query-status", arguments: {} });
  expect(parseLine("stop  a=1")).toEqual({ execute: "stop", arguments: { a: 1 } });
  expect(parseLine('x {"a": "b c"}')).toEqual({ execute: "x", arguments: { a: "b c" } });
  expect(parseLine('{"execute": "x", "arguments": {"a": 1}}')).toEqual({ execute: "x", arguments: { a: 1 } });
  expect(() => parseLine("{}")).toThrow("execute");
});
