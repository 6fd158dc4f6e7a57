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
          { name: "b.test.ts: boots (no qemu)", reason: "no qemu" },
          { name: "b.test.ts: a group (needs gcc) > compiles", reason: "needs gcc" },
        ],
      },
      seconds: 12,
    },
  ]);
  expect(text.split("\n")).toEqual([
    "                       passed   failed  skipped     time",
    "lint                        1        0        0    0.4 s",
    "unit tests                  7        1        2   12.0 s",
    "",
    "Failed:",
    "  a.test.ts: adds",
    "",
    "Skipped:",
    "  b.test.ts: boots (no qemu)",
    "  b.test.ts: a group (needs gcc) > compiles (needs gcc)",
    "",
    "8 passed, 1 failed, 2 skipped",
  ]);
});
