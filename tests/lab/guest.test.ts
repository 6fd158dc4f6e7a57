import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linuxGuestInit, writeInitramfs } from "./lib/guest.ts";
import { findLabKernel } from "./lib/kernel.ts";
import { type LabResult, labSkipReason, runInLab } from "./lib/lab.ts";
import { againIfLost, GuestLost, MAX_RUNS } from "./lib/lost.ts";
import { parseGuestFacts, parseTicks } from "./lib/ticks.ts";

const skip = labSkipReason();
const BOUND_MS = 180_000;
const LAB_TIMEOUT_SECONDS = 150;
const PAGE_TABLES_AND_KERNEL = 64 * 1024 * 1024;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-guest-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/**
 * Shell text that boots the guest under QEMU, types each command once the console shows what goes before
 * it, and prints the console. The guest is to end itself; what it is waited for is a minute in all.
 */
function bootUnderQemu(
  initrd: string,
  machine: string,
  dialogue: [after: string, command: string][],
): string {
  const typed = dialogue.map(([after, command]) => `wait_for '${after}'; echo '${command}'`);
  const kernel = `-kernel ${findLabKernel()} -initrd ${initrd} -append 'console=ttyS0 quiet panic=-1'`;
  return `
    console=$(mktemp); trap 'rm $console' EXIT
    end=$(($(date +%s) + 60))
    wait_for() { until grep -q "$1" $console; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.1; done; }
    { ${typed.join("\n")}; } | timeout 90 qemu-system-x86_64 -nodefaults -no-user-config -no-reboot \
      -display none -serial stdio ${machine} ${kernel} >$console
    status=$?; cat $console; exit $status`;
}

const DIALOGUE: [string, string][] = [
  ["tick 2 ", "echo the sum is $((6 * 7)); cat /etc/greeting"],
  ["hello from a file", "if )"],
  ["syntax error", "echo shell again"],
  ["shell again", "poweroff"],
];

/** Nothing of ours is in it, so any other end than by the last command is the emulation's. */
function unlessLost({ status, stdout, stderr }: LabResult): string {
  if (status === 0 && stdout.includes("shell again")) return stdout;
  throw new GuestLost(`the guest was lost (status ${status})`, `${stdout}${stderr}`);
}

function expectHealthyGuest(console: string, cpus: number, bytes: number): void {
  const facts = parseGuestFacts(console);
  if (!facts) throw new Error(`the guest did not come up: ${JSON.stringify(console)}`);
  expect(facts.cpus).toBe(cpus);
  expect(facts.memory).toBeLessThan(bytes);
  expect(facts.memory).toBeGreaterThan(bytes - PAGE_TABLES_AND_KERNEL);
  expect(console).toContain("shell again\r\n");
  expect(console).toContain("the sum is 42\r\nhello from a file\r\n");
  const ticks = parseTicks(console);
  expect(ticks.map((tick) => tick.count)).toEqual(ticks.map((_, i) => i + 1));
  expect(ticks.map((tick) => tick.secret)).toEqual(ticks.map(() => facts.secret));
  const now = Date.now() / 1000;
  for (const tick of ticks) expect(Math.abs(now - tick.date)).toBeLessThan(BOUND_MS / 1000);
  const [first, last] = [ticks[0], ticks.at(-1)];
  if (!first || !last) throw new Error("no tick at all");
  expect(Math.abs(last.uptime - first.uptime - (last.count - first.count))).toBeLessThan(2);
  expect(Math.abs(last.uptime - first.uptime - (last.date - first.date))).toBeLessThan(2);
}

describe.skipIf(skip !== undefined)(`the Linux guest of the tests${skip ? ` (${skip})` : ""}`, () => {
  test(
    "boots under QEMU on this machine, in software, and does what is typed",
    async () => {
      const initrd = join(folder, "soft.gz");
      writeInitramfs(initrd, { init: linuxGuestInit(), files: { "/etc/greeting": "hello from a file\n" } });
      const machine = "-accel tcg,thread=multi -cpu max -smp 2 -m 512M";
      const qemu = Bun.spawn(["sh", "-c", bootUnderQemu(initrd, machine, DIALOGUE)], { stdin: "ignore" });
      const console = await qemu.stdout.text();
      expect(await qemu.exited).toBe(0);
      expectHealthyGuest(console, 2, 512 * 1024 * 1024);
    },
    BOUND_MS,
  );

  test(
    "boots under QEMU with the lab's KVM, so that a guest that fails there is the VMM's doing",
    async () => {
      const initrd = join(folder, "kvm.gz");
      writeInitramfs(initrd, { init: linuxGuestInit(), files: { "/etc/greeting": "hello from a file\n" } });
      const script = bootUnderQemu(initrd, "-accel kvm -cpu host -smp 2 -m 512M", DIALOGUE);
      const options = { expose: [initrd], timeoutSeconds: LAB_TIMEOUT_SECONDS };
      const run = async () => unlessLost(await runInLab(["sh", "-c", script], options));
      expectHealthyGuest(await againIfLost("the guest under QEMU", run), 2, 512 * 1024 * 1024);
    },
    MAX_RUNS * BOUND_MS,
  );
});
