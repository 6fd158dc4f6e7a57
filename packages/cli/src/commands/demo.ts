import { CliError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { ConsoleLink } from "../console/console-link.ts";
import { type DemoVm, startDemoVm } from "../demo/demo-vm.ts";
import { faultIn, TickReader } from "../demo/ticks.ts";
import { EXIT } from "../exit-code.ts";
import { newCommand } from "../migrate/command.ts";
import type { UpdateReport } from "../migrate/report.ts";
import { updateVm } from "../migrate/update-vm.ts";
import { print, printJson } from "../print.ts";
import { JSON_OPTION } from "../vm/name-options.ts";

const TICKS = 4;
const TICK_TIMEOUT_MS = 20_000;
const UPDATE_TIMEOUT_MS = 30_000;

export default command({
  name: "demo",
  summary: "Show a live update: a small guest counts on while its VMM is replaced.",
  description: "It needs no files and no privileges but access to /dev/kvm, and leaves nothing running.",
  options: {
    accel: { value: "NAME", summary: "Accelerator: kvm (default)", complete: ["kvm"] },
    json: JSON_OPTION,
  },
  examples: [["demo", "Takes a few seconds"]],
  async run({ options }) {
    const say = options.json ? () => {} : print;
    say("Starting a VM with the built-in heartbeat guest, which counts in its RAM.", "");
    const demo = await startDemoVm(options.accel ?? "kvm");
    endOnSignals(demo);
    try {
      const outcome = await showUpdate(demo, say);
      if (options.json) printJson(outcome);
    } finally {
      await demo.end();
    }
    say("", "The VM was ended; nothing is left running.");
    // The console's connection may still be closing.
    process.exit(EXIT.ok);
  },
});

function endOnSignals(demo: DemoVm): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void demo.end().then(() => process.exit(EXIT.failed)));
  }
}

type Say = (...lines: string[]) => void;

async function showUpdate({ vm, ready }: DemoVm, say: Say) {
  say(`  It runs: pid ${ready.pid}, accelerator ${ready.accel}. Its console:`, "");
  const reader = new TickReader((tick) => say(`    ${tick.line}`));
  const link = new ConsoleLink(vm, {
    data: (bytes) => reader.push(bytes),
    reconnected: () => {
      // What the console showed comes again.
      reader.ticks.length = 0;
    },
  });
  const copying = link.run();
  try {
    await Promise.race([copying, reader.more(TICKS, TICK_TIMEOUT_MS)]);
    say("", "Replacing its VMM by cpr-exec, while the guest runs:", "");
    const report = await update(vm, say);
    await reader.more(TICKS, TICK_TIMEOUT_MS);
    return conclude(report, reader, say);
  } finally {
    link.leave();
  }
}

async function update(vm: DemoVm["vm"], say: Say): Promise<UpdateReport> {
  const report = await updateVm(vm, {
    command: await newCommand(vm, undefined),
    preflight: true,
    timeoutMs: UPDATE_TIMEOUT_MS,
    say: (line) => say(`  ${line}`),
  });
  say("");
  if (report.status === "completed") return report;
  throw new CliError(`the update ${report.status}: ${report.error ?? "no reason was given"}`);
}

function conclude(report: UpdateReport, { ticks }: TickReader, say: Say) {
  const fault = faultIn(ticks);
  if (fault) throw new CliError(`the guest noticed: ${fault}`);
  const { pid_before: before, pid_after: after } = report;
  if (before !== after) throw new CliError(`the process is another: pid ${before} before, ${after} after`);
  const [first, last] = [ticks[0], ticks.at(-1)];
  say(
    "",
    `  pid ${before} before, ${after} after: the same process, a new VMM.`,
    `  ticks ${first?.n} to ${last?.n}: none lost, none repeated; the secret is unchanged.`,
    `  The guest stood still for ${report.blackout_ms?.toFixed(1)} ms.`,
  );
  return { ...report, ticks: ticks.length, first_count: first?.count, last_count: last?.count };
}
