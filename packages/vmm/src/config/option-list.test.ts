import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseOptionList, parseSwitch } from "./option-list.ts";

const rules = { what: "--memory", keys: ["size", "share", "path"], implied: "size" };

test("items are split at commas and at their first equals sign", () => {
  expect([...parseOptionList("size=1G,path=/a=b", rules)]).toEqual([
    ["size", "1G"],
    ["path", "/a=b"],
  ]);
});

test("a first item without a key gets the implied one", () => {
  expect(parseOptionList("512M,share=on", rules).get("size")).toBe("512M");
});

test("a doubled comma is a comma of the value", () => {
  expect(parseOptionList("path=/a,,b,share=on", rules).get("path")).toBe("/a,b");
});

test.each([
  ["", "the value is empty"],
  ["512M,", "is empty"],
  ["colour=red", 'unknown key "colour"; known are: size, share, path'],
  ["size=1G,share", '"share" has no value; write share=VALUE'],
  ["size=1G,size=2G", '"size" is given twice'],
  ["512M,size=2G", '"size" is given twice'],
  ["size=", '"size" has an empty value'],
])("%p is refused: %s", (text, reason) => {
  expect(() => parseOptionList(text, rules)).toThrow(reason);
});

test("any set of keys and values survives being written and read", () => {
  const key = fc.stringMatching(/^[a-z][a-z-]{0,8}$/);
  const value = fc.string({ minLength: 1 });
  fc.assert(
    fc.property(fc.dictionary(key, value, { minKeys: 1, noNullPrototype: true }), (object) => {
      const text = Object.entries(object)
        .map(([k, v]) => `${k}=${v.replaceAll(",", ",,")}`)
        .join(",");
      expect(Object.fromEntries(parseOptionList(text, { what: "x" }))).toEqual(object);
    }),
  );
});

test("a switch is on or off and nothing else", () => {
  expect(parseSwitch("on", "x")).toBe(true);
  expect(parseSwitch("off", "x")).toBe(false);
  expect(() => parseSwitch("yes", "share")).toThrow('share is on or off, not "yes"');
});
