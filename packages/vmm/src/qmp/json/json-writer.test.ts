import { expect, test } from "bun:test";
import fc from "fast-check";
import { writeJson } from "./json-writer.ts";

test("JSON is written as QEMU writes it", () => {
  expect(writeJson({ return: { status: "running", running: true }, id: [1, null] })).toBe(
    '{"return": {"status": "running", "running": true}, "id": [1, null]}',
  );
  expect(writeJson({})).toBe("{}");
  expect(writeJson([])).toBe("[]");
});

test("whole numbers of 64 bits stay whole, and what has no JSON is null", () => {
  expect(writeJson([18446744073709551615n, 1.5, Number.NaN])).toBe("[18446744073709551615, 1.5, null]");
});

test("members that are undefined are left out", () => {
  expect(writeJson({ return: {}, id: undefined })).toBe('{"return": {}}');
});

test("all of it is ASCII", () => {
  expect(writeJson('a\u0001"é😀')).toBe('"a\\u0001\\"\\u00E9\\uD83D\\uDE00"');
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = writeJson(value);
      expect(/^[\x20-\x7e]*$/.test(text)).toBe(true);
      expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify(JSON.parse(JSON.stringify(value))));
    }),
  );
});
