/** Whatever fails in an update, the guest goes on. This is what of the matrix is quick; `bun run faults` has all of it. */
import { describe, expect, test } from "bun:test";
import type { FaultRow } from "./lib/fault/row.ts";
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

for (const { group, what, skip } of rows) {
  if (skip !== undefined) test.skip(`${group}: ${what} (${skip})`, () => {});
}
