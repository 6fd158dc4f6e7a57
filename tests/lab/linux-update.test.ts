import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { labSkipReason } from "./lib/lab.ts";
import { expectUnnoticed, LAB_BOUND_MS, LinuxFiles, runLinux } from "./lib/linux.ts";

const skip = labSkipReason();
const UPDATES = 5;

let files: LinuxFiles | undefined;
beforeAll(async () => {
  if (!skip) files = await LinuxFiles.make();
});
afterAll(() => files?.[Symbol.dispose]());

describe.skipIf(skip !== undefined)(`a Linux guest in the lab${skip ? ` (skipped: ${skip})` : ""}`, () => {
  for (const [cpus, memory, labMemory] of [
    [1, "512M", "3G"],
    [4, "512M", "3G"],
    [1, "5G", "8G"],
  ] as const) {
    test(
      `with ${cpus} vCPU and ${memory} does not notice five updates of its VMM`,
      async () => {
        const words = [String(cpus), memory, String(UPDATES)];
        const run = await runLinux(files as LinuxFiles, "linux-updates.ts", words, labMemory);
        expect(run.updates.map(({ status, stderr }) => ({ status, stderr }))).toEqual(
          Array.from({ length: UPDATES }, () => ({ status: 0, stderr: "" })),
        );
        for (const { pidBefore, pidAfter } of run.updates)
          expect([pidBefore, pidAfter]).toEqual([run.pid, run.pid]);
        expectUnnoticed(run, cpus);
      },
      LAB_BOUND_MS,
    );
  }
});
