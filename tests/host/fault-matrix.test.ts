/** Whatever fails in an update, the guest goes on. This is what of the matrix is quick; `bun run faults` has all of it. */
import { describe, expect, test } from "bun:test";
import { type FaultRow, seriesOf } from "./lib/fault/row.ts";
import { runRows, shortRows } from "./lib/fault/run-rows.ts";
import { HAS_KVM } from "./lib/vm.ts";

const rows = shortRows();
const groups = Map.groupBy(
  rows.filter(({ skip }) => skip === undefined),
  ({ group }) => group,
);

/** For one row, on a host that does much else. */
const ROW_MS = 20_000;

async function problemsOf(group: readonly FaultRow[]): Promise<string[]> {
  const problems: string[] = [];
  for await (const result of runRows(group)) {
    problems.push(...result.problems.map((problem) => `${result.what}: ${problem}`));
  }
  return problems;
}

describe.skipIf(!HAS_KVM)(
  "the guest goes on, nothing is left, the next update works (needs /dev/kvm)",
  () => {
    for (const [group, members] of groups) {
      test(group, async () => expect(await problemsOf(members)).toEqual([]), ROW_MS * (members.length + 1));
    }
  },
);

describe.skipIf(!HAS_KVM)("a row is broken (needs /dev/kvm)", () => {
  const series = (name: string, least: number, most: number) =>
    seriesOf({ name, least, most, reason: `fault at ${name}` }, (pass) => ({
      group: "vacuity",
      source: `${name}#${pass}:throw`,
      request: () => ({ preflight: false }),
    }));

  test("where its fault does not strike", async () => {
    expect(await problemsOf(series("no-such-point", 1, 3))).toEqual([
      "number 1: it completed (); expected: failed",
    ]);
  }, 60_000);

  test("where its fault strikes for another reason", async () => {
    const [row] = series("setup", 1, 1) as [FaultRow];
    const other: FaultRow = { ...row, expect: { outcome: "failed", reason: "another fault" } };
    expect(await problemsOf([other])).toEqual([
      'number 1: the reason is "fault at setup"; expected: another fault',
    ]);
  }, 60_000);

  test("where there are more passes than rows", async () => {
    expect(await problemsOf(series("seal", 1, 1))).toEqual([
      "number 1: the fault still strikes: there are passes that no row tries",
    ]);
  }, 60_000);
});

test("a matrix without rows is an error", () => {
  expect(problemsOf([])).rejects.toThrow("there is no such row");
});

for (const { group, what, skip } of rows) {
  if (skip !== undefined) test.skip(`${group}: ${what} (${skip})`, () => {});
}
