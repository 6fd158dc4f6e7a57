/**
 * Runs in the lab: starts a Linux guest under vmm by the real commands, replaces its VMM several times, has the guest
 * power off, and prints what happened as JSON.
 *
 *     bun tests/lab/programs/linux-updates.ts KERNEL INITRD CPUS MEMORY UPDATES
 */
import { pathsOf } from "@vmm/vmm/config/index.ts";
import { parseGuestFacts, parseTicks } from "../lib/ticks.ts";

const [kernel = "", initrd = "", cpus = "1", memory = "512M", updates = "5"] = process.argv.slice(2);
const NAME = "linux";
const VMM = ["bun", "packages/cli/src/vmm.ts"];
/** Everything in the lab takes 20 to 50 times as long as on the machine itself (ms). */
const PATIENCE_MS = 240_000;

/** Room for a start of Bun in software emulation on a busy machine; each VMM process has its own parameters (ms). */
const SLOW = ["x-cpr-preflight-timeout=90000", "x-cpr-commit-timeout=90000"];

/** What one update told. */
export interface LabUpdate {
  readonly status: number;
  readonly blackoutMs: number;
  readonly pidBefore: number;
  readonly pidAfter: number;
  readonly stderr: string;
}

/** What this program prints. */
export interface LabRun {
  readonly console: string;
  readonly updates: readonly LabUpdate[];
  readonly pid: number;
  /** Whether the VM process ended by itself after `poweroff`, and left nothing. */
  readonly endedCleanly: boolean;
  /** Host seconds since 1970 when the last tick was seen. */
  readonly hostDate: number;
}

async function vmm(...words: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([...VMM, ...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

let text = "";

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > deadline)
      throw new Error(`${what} did not come; the console says:\n${text.slice(-4000)}`);
    await Bun.sleep(50);
  }
}

const ticks = () => parseTicks(text).length;

async function update(pid: number): Promise<LabUpdate> {
  const before = ticks();
  await until("the next ticks before an update", () => ticks() >= before + 2);
  await vmm("qmp", NAME, "migrate-set-parameters", ...SLOW);
  const { status, stdout, stderr } = await vmm("migrate", "--cpr-exec", "--json", NAME);
  const report = status === 0 ? JSON.parse(stdout) : {};
  return {
    status,
    blackoutMs: report.blackout_ms ?? -1,
    pidBefore: report.pid_before ?? pid,
    pidAfter: report.pid_after ?? -1,
    stderr,
  };
}

const started = await vmm(
  ...["start", "--json", "--name", NAME, "--kernel", kernel, "--initrd", initrd],
  ...["--cmdline", "console=ttyS0 quiet panic=-1", "--cpus", cpus, "--memory", memory],
);
if (started.status !== 0) throw new Error(`vmm start: ${started.stderr}`);
const { pid } = JSON.parse(started.stdout);

const decoder = new TextDecoder();
const ended = Promise.withResolvers<void>();
const console_ = await Bun.connect({
  unix: pathsOf(NAME).console,
  socket: {
    data: (_socket, bytes) => {
      text += decoder.decode(bytes, { stream: true });
    },
    close: () => ended.resolve(),
  },
});
await until("the guest's shell", () => parseGuestFacts(text) !== undefined && text.includes("guest shell"));

const done: LabUpdate[] = [];
for (let i = 0; i < Number(updates); i++) done.push(await update(pid));
const before = ticks();
await until("the ticks after the last update", () => ticks() >= before + 3);
const hostDate = Date.now() / 1000;
console_.write("poweroff\n");
await Promise.race([ended.promise, Bun.sleep(PATIENCE_MS)]);
let endedCleanly = true;
try {
  await until("the end of the VM process", () => !isAlive(pid));
} catch {
  endedCleanly = false;
}
const left = await vmm("ls", "--json");
endedCleanly &&= JSON.parse(left.stdout).length === 0;
process.stdout.write(
  JSON.stringify({ console: text, updates: done, pid, endedCleanly, hostDate } satisfies LabRun),
);
process.exit(0);

function isAlive(process_: number): boolean {
  try {
    process.kill(process_, 0);
    return true;
  } catch {
    return false;
  }
}
