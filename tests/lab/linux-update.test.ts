import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveImage } from "@vmm/vmm/image/index.ts";
import { linuxGuestInit, writeInitramfs } from "./lib/guest.ts";
import { findLabKernel } from "./lib/kernel.ts";
import { labSkipReason, runInLab } from "./lib/lab.ts";
import { parseGuestFacts, parseTicks } from "./lib/ticks.ts";
import type { LabRun } from "./programs/linux-updates.ts";

const skip = labSkipReason();
const UPDATES = 5;
const BOUND_MS = 600_000;
/** What a Linux says that noticed something. */
const TROUBLE = /clocksource.*unstable|rcu.*stall|soft lockup|BUG:|Call Trace|Oops|Kernel panic/;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vmm-linux-"));
  if (skip) return;
  writeInitramfs(join(folder, "initrd.gz"), { init: linuxGuestInit() });
  // the checkout is read-only in the lab: what VMs run from must be there before
  await resolveImage();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function runGuest(cpus: number, memory: string, labMemory: string): Promise<LabRun> {
  const program = ["bun", "tests/lab/programs/linux-updates.ts"];
  const guest = [findLabKernel() as string, join(folder, "initrd.gz"), String(cpus), memory, String(UPDATES)];
  const result = await runInLab([...program, ...guest], {
    memory: labMemory,
    timeoutSeconds: BOUND_MS / 1000 - 30,
    expose: [folder],
  });
  if (result.status !== 0) throw new Error(`the lab run ended with ${result.status}: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

/** The guest must not have noticed: see the messages of what is compared. */
function expectUnnoticed(run: LabRun, cpus: number): void {
  expect(run.updates.map(({ status, stderr }) => ({ status, stderr }))).toEqual(
    run.updates.map(() => ({ status: 0, stderr: "" })),
  );
  expect(run.updates).toHaveLength(UPDATES);
  for (const { pidBefore, pidAfter } of run.updates)
    expect([pidBefore, pidAfter]).toEqual([run.pid, run.pid]);
  expect(run.console).not.toMatch(TROUBLE);
  // one that starts anew without a word was reset
  expect(run.console.split("guest shell")).toHaveLength(2);
  const facts = parseGuestFacts(run.console);
  expect(facts?.cpus).toBe(cpus);
  const ticks = parseTicks(run.console);
  expect(ticks.map(({ count }) => count)).toEqual(ticks.map((_, i) => i + 1));
  expect(new Set(ticks.map(({ secret }) => secret))).toEqual(new Set([facts?.secret ?? "none"]));
  const [first, last] = [ticks[0], ticks.at(-1)];
  if (!first || !last) throw new Error("no tick at all");
  // both clocks of the guest have gone on through the pauses
  expect(Math.abs(last.uptime - first.uptime - (last.date - first.date))).toBeLessThan(2);
  expect(Math.abs(last.date - run.hostDate)).toBeLessThan(4);
  expect(run.endedCleanly).toBe(true);
}

describe.skipIf(skip !== undefined)(`a Linux guest in the lab${skip ? ` (skipped: ${skip})` : ""}`, () => {
  for (const [cpus, memory, labMemory] of [
    [1, "512M", "3G"],
    [4, "512M", "3G"],
    [1, "5G", "8G"],
  ] as const) {
    test(
      `with ${cpus} vCPU and ${memory} does not notice five updates of its VMM`,
      async () => expectUnnoticed(await runGuest(cpus, memory, labMemory), cpus),
      BOUND_MS,
    );
  }
});
