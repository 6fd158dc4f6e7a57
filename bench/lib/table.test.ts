import { describe, expect, test } from "bun:test";
import { formatTable, readable } from "./table.ts";

describe("a table", () => {
  test("has text on the left and numbers on the right, with a rule between heads and rows", () => {
    const text = formatTable({
      title: "Pause",
      columns: ["case", "median ms", "max"],
      rows: [
        ["cpr-exec", 7.123, 12.5],
        ["cpr-transfer, 8 GiB", 2, 1234.4],
      ],
    });
    expect(text).toBe(
      [
        "Pause",
        "",
        "case                 median ms   max",
        "------------------------------------",
        "cpr-exec                  7.12  12.5",
        "cpr-transfer, 8 GiB       2.00  1234",
      ].join("\n"),
    );
  });

  test("wraps its notes at 80 columns", () => {
    const note = Array.from({ length: 40 }, (_, i) => `word${i}`).join(" ");
    const lines = formatTable({ title: "t", columns: ["a"], rows: [], notes: [note, "second"] }).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.slice(5).join(" ")).toBe(`${note} second`);
  });
});

test("numbers keep three digits, and whole ones more", () => {
  expect([0, 0.123, 1.005, 12.345, 123.4, 45678.9, -3.145].map(readable)).toEqual([
    "0.00",
    "0.12",
    "1.00",
    "12.3",
    "123",
    "45679",
    "-3.15",
  ]);
  expect(readable(Number.NaN)).toBe("-");
});
