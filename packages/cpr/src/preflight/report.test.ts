import { expect, test } from "bun:test";
import fc from "fast-check";
import { CprError } from "../cpr-error.ts";
import { describeBlocks, parseReport, refusal } from "./report.ts";

const parse = (value: unknown) => parseReport(Buffer.from(JSON.stringify(value)));

test("a report is read, and what it says beyond that is ignored", () => {
  const report = {
    ok: false,
    version: "2",
    blocks: [{ what: "nic0", reason: "gone", extra: 1 }],
    warnings: ["w"],
    more: {},
  };
  expect(parse(report)).toEqual({
    ok: false,
    version: "2",
    blocks: [{ what: "nic0", reason: "gone" }],
    warnings: ["w"],
  });
});

test("a report that contradicts itself, or lacks a part, is refused by that part", () => {
  const good = { ok: true, version: "2", blocks: [], warnings: [] };
  for (const [change, part] of [
    [{ ok: "yes" }, "ok"],
    [{ ok: false }, "blocks"],
    [{ blocks: [{ what: "a", reason: "b" }] }, "ok"],
    [{ blocks: {} }, "blocks"],
    [{ blocks: Array.from({ length: 1001 }, () => ({ what: "a", reason: "b" })) }, "blocks"],
    [{ warnings: [1] }, "warnings[0]"],
    [{ version: null }, "version"],
    [{ version: "x".repeat(300) }, "version"],
  ] as const) {
    expect(() => parse({ ...good, ...change })).toThrow(`the report: ${part} is not`);
  }
});

test("any bytes at all are a report or refused as one", () => {
  const tryParse = (bytes: Uint8Array) => {
    try {
      parseReport(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(CprError);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), tryParse));
  fc.assert(fc.property(fc.json(), (json) => tryParse(Buffer.from(json))));
});

test("what blocks is told in one line", () => {
  expect(describeBlocks(refusal(["vmm", "start"], "is not there"))).toBe("vmm start: is not there");
});
