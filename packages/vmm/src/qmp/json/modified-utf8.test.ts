import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isNoncharacter, lossyText } from "./modified-utf8.ts";

const text = (...bytes: number[]) => lossyText(Uint8Array.from(bytes));

describe("text of bytes", () => {
  test("that are UTF-8 is theirs", () => {
    const string = fc
      .string({ unit: "binary" })
      .filter((each) => ![...each].some((char) => char === "\0" || isNoncharacter(char.codePointAt(0) ?? 0)));
    fc.assert(fc.property(string, (each) => expect(lossyText(Buffer.from(each))).toBe(each)));
  });

  test("ends at a NUL, and C0 80 is one inside", () => {
    expect(text(0x61, 0x00, 0x62)).toBe("a");
    expect(text(0x61, 0xc0, 0x80, 0x62)).toBe("a\0b");
  });

  test.each<[string, string, ...number[]]>([
    ["a continuation byte without a beginning", "\uFFFDa", 0x80, 0x61],
    ["bytes that are never part of it", "\uFFFD\uFFFDa", 0xfe, 0xff, 0x61],
    ["a sequence that ends early", "\uFFFDa", 0xe2, 0x82, 0x61],
    ["a sequence that ends with the text", "\uFFFD", 0xf4, 0x90],
    ["one beyond U+10FFFF", "\uFFFDa", 0xf4, 0x90, 0x80, 0x80, 0x61],
    ["one of five bytes", "\uFFFDa", 0xf8, 0x88, 0x80, 0x80, 0x80, 0x61],
    ["one of six bytes", "\uFFFDa", 0xfd, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0x61],
    ["one that is too long for what it says", "\uFFFDa", 0xe0, 0x80, 0xaf, 0x61],
    ["a NUL in three bytes", "\uFFFDa", 0xe0, 0x80, 0x80, 0x61],
    ["a surrogate", "\uFFFDa", 0xed, 0xa0, 0x80, 0x61],
    ["a noncharacter", "\uFFFDa", 0xef, 0xbf, 0xbe, 0x61],
    ["one of the last noncharacters", "\uFFFDa", 0xf4, 0x8f, 0xbf, 0xbf, 0x61],
  ])("has one U+FFFD for %s", (_what, expected, ...bytes) => {
    expect(text(...bytes)).toBe(expected);
  });
});
