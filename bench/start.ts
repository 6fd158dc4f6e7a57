/** How long `vmm start` takes to a guest's first tick, and how much memory the VMM takes beside the guest's. */
import { close, monotonicNs, O_CLOEXEC, POLLIN, pipe, poll, read } from "@vmm/libc";
import { runBenchmark } from "./lib/options.ts";
import { goFirst, priorityNote } from "./lib/priority.ts";
import { residencyOf } from "./lib/proc.ts";
import { summarize } from "./lib/statistics.ts";
import { formatTable } from "./lib/table.ts";
import { endProcess, killAtExit, VMM, Workspace } from "./lib/vmm.ts";

const GOAL_MS = 60;
const GOAL_MB = 80;
const LIMIT_MS = 30_000;
const MB = 1e6;
/** Starts before those that count: the first one fills caches. */
const WARM_UP = 2;

/** What a program is started for: its output is watched for a text. */
interface Program {
  readonly command: readonly string[];
  readonly env: Record<string, string | undefined>;
  readonly text: string;
}

/** Waits, without an event loop in between, until `text` has come out of `fd`. False where the output ends before. */
function awaitText(fd: number, text: string): boolean {
  const deadline = performance.now() + LIMIT_MS;
  const buffer = new Uint8Array(4096);
  let output = "";
  while (performance.now() < deadline) {
    if (poll(fd, POLLIN, 100) === 0) continue;
    const length = read(fd, buffer) ?? 0;
    if (length === 0) return false;
    output += new TextDecoder().decode(buffer.subarray(0, length));
    if (output.includes(text)) return true;
  }
  return false;
}

/**
 * Starts the program, waits for its text, and lets `look` at it before it is ended.
 *
 * @returns ms from before the spawn until the text was there.
 */
async function timeStart(
  { command, env, text }: Program,
  look = async (_pid: number) => {},
): Promise<number> {
  const [output, input] = pipe(O_CLOEXEC);
  const before = monotonicNs();
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: input, stderr: "pipe", env });
  close(input);
  const kill = killAtExit(child);
  try {
    const seen = awaitText(output, text);
    const ms = (monotonicNs() - before) / 1e6;
    if (seen) await look(child.pid);
    await endProcess(child);
    if (seen) return ms;
    throw new Error(`${command.join(" ")}: no "${text}": ${(await child.stderr.text()).trim()}`);
  } finally {
    kill();
    close(output);
  }
}

/** The VMM's memory beside the guest's, once it has loaded all and does not grow any more (MB). */
async function settledRss(pid: number): Promise<number> {
  const deadline = performance.now() + 3000;
  for (let before = 0; ; ) {
    await Bun.sleep(100);
    const { rss } = residencyOf(pid, "/memfd:ram0");
    if (rss <= before * 1.01 || performance.now() > deadline) return rss / MB;
    before = rss;
  }
}

const about = {
  command: "bench:start",
  about: "How long a start takes, to the guest's first tick, and the VMM's memory.",
  specs: {
    runs: { kind: "number", help: "how many starts", default: 20 },
    memory: { kind: "text", help: "the guest's RAM", default: "64M" },
    cpus: { kind: "number", help: "vCPUs", default: 1 },
    first: { kind: "flag", help: "before the rest of the host's work, at nice -20" },
    json: { kind: "flag", help: "print JSON" },
  },
} as const;

await runBenchmark(about, async ({ runs, memory, cpus, json, first }) => {
  const isFirst = first && goFirst();
  using workspace = new Workspace();
  const { env } = workspace;
  const guest = ["--guest", "heartbeat", "--memory", memory, "--cpus", `${cpus}`, "--serial", "stdio"];
  const start = { command: [...VMM, "start", "--foreground", ...guest], env, text: "tick 0 " };
  const floor = { command: [process.execPath, "-e", "console.log('hello')"], env, text: "hello" };
  const ms: number[] = [];
  const floorMs: number[] = [];
  const rssMb: number[] = [];
  for (let run = -WARM_UP; run < runs; run++) {
    const hello = await timeStart(floor);
    const tickMs = await timeStart(start, async (pid) => {
      if (run >= 0) rssMb.push(await settledRss(pid));
    });
    if (run < 0) continue;
    floorMs.push(hello);
    ms.push(tickMs);
  }
  const [tick, hello, rss] = [summarize(ms), summarize(floorMs), summarize(rssMb)];
  const reached = { start: tick.median <= GOAL_MS, rss: rss.median <= GOAL_MB };
  if (json)
    return {
      runs,
      memory,
      cpus,
      startMs: tick,
      bunHelloMs: hello,
      rssMb: rss,
      goals: { startMs: GOAL_MS, rssMb: GOAL_MB },
      reached,
      first: isFirst,
    };
  return formatTable({
    title: `From spawn to the guest's first tick, ${runs} starts (${memory}, ${cpus} vCPU${cpus > 1 ? "s" : ""})`,
    columns: ["", "median", "p90", "min", "max", "goal"],
    rows: [
      ["first tick, ms", tick.median, tick.p90, tick.min, tick.max, `${GOAL_MS}`],
      ["RSS less RAM, MB", rss.median, rss.p90, rss.min, rss.max, `${GOAL_MB}`],
      ["bun that prints, ms", hello.median, hello.p90, hello.min, hello.max, ""],
    ],
    notes: [
      `Goals at the median: start ${reached.start ? "reached" : "missed"}, memory ${reached.rss ? "reached" : "missed"}.`,
      "A Bun that prints one word and ends, started in turns with the VMs, tells what the host gives at this moment.",
      priorityNote(isFirst),
    ],
  });
});
