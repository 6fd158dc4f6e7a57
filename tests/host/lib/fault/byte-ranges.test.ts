import { describe, expect, test } from "bun:test";
import { byteRanges } from "./byte-ranges.ts";

describe("bytes of a state", () => {
  test.each([
    ["", []],
    ["7", ["7"]],
    ["-1,0", ["-1", "0"]],
    ["40-42", ["40", "41", "42"]],
    ["5-5", ["5"]],
    ["10-30/10,2", ["10", "20", "30", "2"]],
    ["10-29/10", ["10", "20"]],
  ])("%p", (text, numbers) => {
    expect(byteRanges(text)).toEqual(numbers);
  });

  test.each(["x", "1,", "3-2", "1-2/0", "-3--1", "1.5", "10%"])("%p is refused", (text) => {
    expect(() => byteRanges(text)).toThrow("not a byte");
  });

  test("more than there can be are refused", () => {
    expect(() => byteRanges("0-999999999")).toThrow("more than");
  });
});
