/** A part of the fault matrix with a Linux guest: whatever fails, it goes on, and the next update works. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FAULTS } from "./lib/faults.ts";
import { labSkipReason } from "./lib/lab.ts";
import { expectUnnoticed, LAB_BOUND_MS, LinuxFiles, runLinux } from "./lib/linux.ts";

const skip = labSkipReason();

let files: LinuxFiles | undefined;
beforeAll(async () => {
  if (!skip) files = await LinuxFiles.make();
});
afterAll(() => files?.[Symbol.dispose]());

describe.skipIf(skip !== undefined)(`a Linux guest in the lab${skip ? ` (skipped: ${skip})` : ""}`, () => {
  test(
    "does not notice updates that fail, and is updated after them",
    async () => {
      const run = await runLinux(files as LinuxFiles, "linux-faults.ts", [], "3G");
      expect(run.updates).toHaveLength(FAULTS.length + 1);
      FAULTS.forEach(({ what, reason, pid }, i) => {
        const update = run.updates[i];
        if (!update) throw new Error(`no update for: ${what}`);
        const { status, stderr, pidBefore, pidAfter } = update;
        expect(`${what}: ${stderr}`).toMatch(reason);
        expect(`${what}: ${stderr}`.trimEnd().split("\n")).toHaveLength(1);
        expect(`${what}: ${status}`).toBe(`${what}: 1`);
        const moved = pidAfter < 0 ? "none" : pidAfter === pidBefore ? "same" : "new";
        expect(`${what}: ${moved}`).toBe(`${what}: ${pid}`);
      });
      const healthy = run.updates.at(-1);
      expect(healthy).toMatchObject({ status: 0, stderr: "", pidAfter: healthy?.pidBefore });
      expectUnnoticed(run, 1);
    },
    LAB_BOUND_MS,
  );
});
