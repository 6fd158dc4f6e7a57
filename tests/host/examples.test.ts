/** The examples do what they say. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { access, R_OK, W_OK } from "@vmm/libc";

const ROOT = dirname(dirname(import.meta.dir));
const VMM = join(ROOT, "packages/cli/src/vmm.ts");
const canUseKvm = access("/dev/kvm", R_OK | W_OK);
/** A first start builds the image that VMs run from. */
const LIMIT_MS = 120_000;

let runtime = "";

/** VMs of their own, apart from those of the user and of other tests. */
beforeEach(async () => {
  runtime = await mkdtemp(join(tmpdir(), "vmm-examples-"));
});

afterEach(async () => {
  for (const name of await vmNames()) await run(process.execPath, VMM, "quit", name);
  const left = await vmNames();
  await rm(runtime, { recursive: true });
  expect(left).toEqual([]);
});

const vmNames = () => readdir(join(runtime, "vmm")).catch((): string[] => []);

function start(...argv: string[]) {
  return Bun.spawn(argv, {
    cwd: ROOT,
    env: { ...process.env, XDG_RUNTIME_DIR: runtime },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function run(...argv: string[]): Promise<string> {
  const child = start(...argv);
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0)
    throw new Error(`${argv.join(" ")}: status ${child.exitCode}: ${err}${out}`);
  return out;
}

const vmm = (...words: string[]) => run(process.execPath, VMM, ...words);

/** The next lines that a program prints. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() as string;
    yield* lines;
  }
}

describe.skipIf(!canUseKvm)("the examples (needs /dev/kvm)", () => {
  test(
    "live-update.sh replaces a VMM, shows that the guest went on, and leaves no VM",
    async () => {
      const out = await run("examples/live-update.sh");
      expect(out).toMatch(/^blackout_ms [\d.]+$/m);
      expect(out).toMatch(/pid (\d+) before and after/);
      expect(out).toMatch(/^status +running$/m);
      expect(out.match(/tick/g)?.length).toBeGreaterThanOrEqual(4);
      expect(await vmNames()).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "qmp-events.ts prints the events of a VM as they come",
    async () => {
      await vmm("start", "--name", "web", "--guest", "heartbeat", "--memory", "64M");
      const watcher = start(process.execPath, "examples/qmp-events.ts", "web", "2");
      const events: string[] = [];
      const reading = (async () => {
        for await (const line of linesOf(watcher.stdout)) events.push(JSON.parse(line).event);
      })();
      // Whether the watcher is connected yet is not to be seen from here: until it has seen two events, there are more.
      while (watcher.exitCode === null) {
        await vmm("stop", "web");
        await vmm("cont", "web");
      }
      await reading;
      expect(watcher.exitCode).toBe(0);
      expect(events.sort()).toEqual(["RESUME", "STOP"]);
    },
    LIMIT_MS,
  );

  test(
    "the watchdog is part of the machine, and of the one that an update makes",
    async () => {
      const plugin = join(ROOT, "examples/watchdog/ib700.ts");
      const device = ["--plugin", plugin, "--device", "ib700,id=watchdog0"];
      await vmm("start", "--name", "web", "--guest", "heartbeat", "--memory", "64M", ...device);
      const tree = () => vmm("qmp", "web", "human-monitor-command", "command-line=info mtree");
      expect(await tree()).toContain("watchdog0");
      const report = JSON.parse(await vmm("migrate", "--cpr-exec", "--json", "web"));
      expect(report.status).toBe("completed");
      expect(await tree()).toContain("watchdog0");
    },
    LIMIT_MS,
  );
});
