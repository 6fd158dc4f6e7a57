import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type JsonItem, JsonStream, MAX_NESTING, MAX_TOKENS, MAX_VALUE_SIZE } from "./json-stream.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Values as they are, errors by their message. */
const plain = (items: readonly JsonItem[]) =>
  items.map((item) => ("error" in item ? item.error.message : structuredClone(item.value)));

function parse(text: string | Uint8Array): unknown[] {
  return plain(new JsonStream().feed(typeof text === "string" ? encode(text) : text));
}

describe("a JSON stream", () => {
  test("gives values as they come, at any spacing", () => {
    expect(parse('{"a": [1, -2.5e3, true, null]}\r\n {"b": {}} []{}')).toEqual([
      { a: [1, -2500, true, null] },
      { b: {} },
      [],
      {},
    ]);
    expect(parse('{\n  "execute":\t"stop"\n}')).toEqual([{ execute: "stop" }]);
  });

  test("takes strings in single quotes, as QEMU does", () => {
    expect(parse(`{'it"s': 'a\\'b'}`)).toEqual([{ 'it"s': "a'b" }]);
  });

  test("waits for the end of a lone number or keyword", () => {
    const stream = new JsonStream();
    expect(plain(stream.feed(encode("12")))).toEqual([]);
    expect(plain(stream.feed(encode("3 tru")))).toEqual([123]);
    expect(plain(stream.feed(encode("e\n")))).toEqual([true]);
  });

  test("keeps whole numbers of 64 bits whole", () => {
    expect(
      parse("[9007199254740993, -9223372036854775808, 18446744073709551615, 18446744073709551616, -0]"),
    ).toEqual([[9007199254740993n, -9223372036854775808n, 18446744073709551615n, 2 ** 64, 0]]);
  });

  test("has no prototype to trip over", () => {
    const [item] = new JsonStream().feed(encode('{"__proto__": {"x": 1}, "constructor": 2}'));
    if (!item || "error" in item) throw new Error("not parsed");
    expect(Object.keys(item.value as object)).toEqual(["__proto__", "constructor"]);
    expect((item.value as { x?: number }).x).toBeUndefined();
  });

  test("reads whatever JSON.stringify writes, cut into any pieces", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(fc.nat(40), { maxLength: 20 }), (value, cuts) => {
        const bytes = encode(`${JSON.stringify(value)}\n`);
        const stream = new JsonStream();
        const items: JsonItem[] = [];
        let at = 0;
        for (const cut of cuts) {
          items.push(...stream.feed(bytes.subarray(at, at + cut)));
          at += cut;
        }
        items.push(...stream.feed(bytes.subarray(at)));
        // integers that a double holds only by luck are read as bigints, which have the same digits
        const digits = (_key: string, part: unknown) => (typeof part === "bigint" ? Number(part) : part);
        expect(JSON.stringify(plain(items), digits)).toBe(
          JSON.stringify([JSON.parse(JSON.stringify(value))]),
        );
      }),
    );
  });

  test("never throws, whatever comes, and then still reads JSON", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const stream = new JsonStream();
        stream.feed(noise);
        // whatever was open is closed by so many brackets, and a control character ends what is skipped
        stream.feed(encode(`\n\n"'\n${"]}".repeat(200)}\n`));
        expect(plain(stream.feed(encode('{"x": 1}')))).toEqual([{ x: 1 }]);
      }),
    );
  });
});

describe("what is wrong is told in QEMU's words, and what follows is read", () => {
  // seen with QEMU 10.0.2
  const cases: [string, string[]][] = [
    ["{]", ["JSON parse error, expecting value"]],
    ["}", ["JSON parse error, expecting value"]],
    ['{"a":1 "b":2}', ["JSON parse error, expected separator in dict"]],
    ["[1 2]", ["JSON parse error, expected separator in list"]],
    ["xyz ", ["JSON parse error, invalid keyword 'xyz'"]],
    ['{"a":tru}', ["JSON parse error, invalid keyword 'tru'"]],
    ['{"a":01}', ["JSON parse error, stray '01'", "JSON parse error, expecting value"]],
    ['{"a":1.}', ["JSON parse error, stray '1.}'"]],
    ['{"a":%p}', ["JSON parse error, stray '%'", "JSON parse error, expecting value"]],
    ["@\n", ["JSON parse error, stray '@'"]],
    ['{"a":"x\ny"}', ["JSON parse error, stray '\"x\n'", "JSON parse error, expecting value"]],
    ['{"a":"\\ud800"}', ["JSON parse error, \\ud800 is not a valid Unicode character"]],
    ['{"a":"\\ud800\\u0041"}', ["JSON parse error, \\ud800 is not a valid Unicode character"]],
    ['{"a":"\\u12"}', ['JSON parse error, \\u12" is not a valid Unicode character']],
    ['{"a":"\\q"}', ["JSON parse error, invalid escape sequence in string"]],
    ['{"a":1,"a":2}', ["JSON parse error, duplicate key"]],
    ['{"a":1,}', ["JSON parse error, expecting value"]],
    ["[1,]", ["JSON parse error, expecting value"]],
    ["{1:2}", ["JSON parse error, key is not a string in object"]],
    ['{"a" 2}', ["JSON parse error, missing : in object pair"]],
    ['{"a":}', ["JSON parse error, expecting value"]],
    ["\uFEFF", ["JSON parse error, stray '\uFFFD'"]],
    ["\0\x01", ["JSON parse error, stray ''", "JSON parse error, stray '\x01'"]],
  ];

  test.each(cases)("%j", (text, errors) => {
    expect(parse(`${text}{"x": 1}`)).toEqual([...errors, { x: 1 }]);
  });

  test("bytes that are not UTF-8", () => {
    expect(parse(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22))).toEqual([
      "JSON parse error, invalid UTF-8 sequence in string",
    ]);
    expect(parse(Uint8Array.of(0xff, ...encode("{}")))).toEqual(["JSON parse error, stray '\uFFFD'", {}]);
  });
});

describe("everything has a limit", () => {
  test("nesting", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(parse(nested(MAX_NESTING))).toHaveLength(1);
    const [first, ...rest] = parse(nested(MAX_NESTING + 1));
    expect(first).toBe("JSON nesting depth limit exceeded");
    expect(new Set(rest)).toEqual(new Set(["JSON parse error, expecting value"]));
    const [object] = parse('{"a":'.repeat(MAX_NESTING + 1));
    expect(object).toBe("JSON nesting depth limit exceeded");
  });

  test("size, of one token and of all", () => {
    const stream = new JsonStream();
    const [error, ...rest] = plain(stream.feed(encode(`{"a": "${"x".repeat(MAX_VALUE_SIZE)}"}`)));
    expect(error).toBe("JSON token size limit exceeded");
    expect(rest).toEqual(["JSON parse error, expecting value"]);
    expect(plain(stream.feed(encode('{"x": 1}')))).toEqual([{ x: 1 }]);
    const long = `"${"x".repeat(60_000)}",`;
    expect(parse(`[${long.repeat(20)}1]`)[0]).toBe("JSON token size limit exceeded");
    expect(parse(`["${"x".repeat(MAX_VALUE_SIZE - 100)}"]`)).toHaveLength(1);
  });

  test("number of tokens", () => {
    expect(parse(`[${"1,".repeat(MAX_TOKENS)}1]`)[0]).toBe("JSON token count limit exceeded");
    expect(parse(`[${"1,".repeat(MAX_TOKENS / 2 - 2)}1]`)).toHaveLength(1);
  });
});
