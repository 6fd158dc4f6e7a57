/** Linux guests in the lab: how a program that has one is run, and what shows that the guest noticed nothing. */
import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveImage } from "@vmm/vmm/image/index.ts";
import type { LabRun } from "../programs/linux-vm.ts";
import { linuxGuestInit, writeInitramfs } from "./guest.ts";
import { findLabKernel } from "./kernel.ts";
import { runInLab } from "./lab.ts";
import { againIfLost, GUEST_LOST_STATUS, GuestLost, MAX_RUNS } from "./lost.ts";
import { parseGuestFacts, parseTicks } from "./ticks.ts";

/** The longest that a program may take, its lab's boot and end included (s). */
const RUN_BOUND_S = 400;

/** The longest that a test may take that runs a program, and again. */
export const LAB_BOUND_MS = MAX_RUNS * RUN_BOUND_S * 1000 + 60_000;

/** What a Linux says that noticed something. */
const TROUBLE = /clocksource.*unstable|rcu.*stall|soft lockup|BUG:|Call Trace|Oops|Kernel panic/;

/** A folder with the guest's initramfs, which the lab sees. */
export class LinuxFiles implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "vmm-linux-"));
  readonly initrd = join(this.folder, "initrd.gz");

  static async make(): Promise<LinuxFiles> {
    const files = new LinuxFiles();
    writeInitramfs(files.initrd, { init: linuxGuestInit() });
    // the checkout is read-only in the lab: what VMs run from must be there before
    await resolveImage();
    return files;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

/**
 * Runs a program in the lab that starts a Linux guest.
 *
 * @param program Its file's name in `programs/`; it is given the kernel, the initrd, and `words`.
 * @param memory The lab's own RAM.
 */
export function runLinux(
  files: LinuxFiles,
  program: string,
  words: readonly string[],
  memory: string,
): Promise<LabRun> {
  return againIfLost(program, () => runLinuxOnce(files, program, words, memory));
}

async function runLinuxOnce(
  files: LinuxFiles,
  program: string,
  words: readonly string[],
  memory: string,
): Promise<LabRun> {
  const command = ["bun", `tests/lab/programs/${program}`, findLabKernel() as string, files.initrd, ...words];
  const result = await runInLab(command, {
    memory,
    timeoutSeconds: RUN_BOUND_S,
    expose: [files.folder],
  });
  if (result.status === GUEST_LOST_STATUS) throw new GuestLost("the guest did not go on", result.stderr);
  if (result.status !== 0) throw new Error(`the lab run ended with ${result.status}: ${result.stderr}`);
  return JSON.parse(result.stdout) as LabRun;
}

/** The guest must not have noticed: see the messages of what is compared. */
export function expectUnnoticed(run: LabRun, cpus: number): void {
  expect(run.console).not.toMatch(TROUBLE);
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
