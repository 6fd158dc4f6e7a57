import { expect, test } from "bun:test";
import { summary } from "./summary.ts";

test("the summary names what failed and what was skipped, and closes with the sums alone on a line", () => {
  const text = summary([
    { title: "lint", outcome: { passed: 1, failed: [], skipped: [] }, seconds: 0.42 },
    {
      title: "unit tests",
      outcome: {
        passed: 7,
        failed: ["a.test.ts: adds"],
        skipped: [
          { name: "b.test.ts: boots", reason: "no qemu" },
          { name: "b.test.ts: a group > compiles", reason: "needs gcc" },
          { name: "b.test.ts: powers off", reason: "no qemu" },
        ],
      },
      seconds: 12,
    },
  ]);
  expect(text.split("\n")).toEqual([
    "                       passed   failed  skipped     time",
    "lint                        1        0        0    0.4 s",
    "unit tests                  7        1        3   12.0 s",
    "",
    "Failed:",
    "  a.test.ts: adds",
    "",
    "Skipped: no qemu",
    "  b.test.ts: boots",
    "  b.test.ts: powers off",
    "",
    "Skipped: needs gcc",
    "  b.test.ts: a group > compiles",
    "",
    "8 passed, 1 failed, 3 skipped",
  ]);
});
