import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatSize, parseSize } from "./size.ts";

test("sizes are read in powers of 1024", () => {
  expect(parseSize("512M", "x")).toBe(512 * 2 ** 20);
  expect(parseSize("2g", "x")).toBe(2 * 2 ** 30);
  expect(parseSize("1.5G", "x")).toBe(1536 * 2 ** 20);
  expect(parseSize("4KiB", "x")).toBe(4096);
  expect(parseSize("65536", "x")).toBe(65536);
});

test.each([
  ["512Q", '"512Q" is not a size'],
  ["", '"" is not a size'],
  ["abc", '"abc" is not a size'],
  ["1e9", '"1e9" is not a size'],
  ["0x100", '"0x100" is not a size'],
  ["5 G", '"5 G" is not a size'],
  [".5G", '".5G" is not a size'],
  ["NaN", '"NaN" is not a size'],
  ["0", "cannot be 0"],
  ["0M", "cannot be 0"],
  ["-1G", "cannot be negative"],
  ["0.3K", "not a whole number of bytes"],
  ["99999999T", "not a whole number of bytes below 8 PiB"],
])("%p is refused in one line that says why", (text, reason) => {
  expect(() => parseSize(text, "--memory")).toThrow(reason);
  try {
    parseSize(text, "--memory");
  } catch (error) {
    expect((error as Error).message).not.toContain("\n");
  }
});

test("every whole number of bytes survives being written and read", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (bytes) => {
      expect(parseSize(formatSize(bytes), "x")).toBe(bytes);
    }),
  );
});

test("any text is either a size or refused with a config error", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const bytes = parseSize(text, "x");
        expect(Number.isSafeInteger(bytes) && bytes > 0).toBe(true);
      } catch (error) {
        expect((error as { code?: string }).code).toBe("config");
      }
    }),
  );
});
