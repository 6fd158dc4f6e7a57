/** The fault matrix as a program: `bun run faults`. */
import { runBenchmark, UsageError } from "../../bench/lib/options.ts";
import { byteRanges } from "./lib/fault/byte-ranges.ts";
import type { RowResult } from "./lib/fault/row.ts";
import { allRows, runBeside, shortRows } from "./lib/fault/run-rows.ts";
import { HAS_KVM } from "./lib/vm.ts";

const about = {
  command: "faults",
  about: "Makes live updates fail in every way there is, and looks whether the guest goes on.",
  specs: {
    only: { kind: "text", help: "rows that this regular expression matches" },
    short: { kind: "flag", help: "only those that the tests run" },
    cpus: { kind: "number", help: "vCPUs", default: 1 },
    at: { kind: "text", help: "bytes of a state where it is damaged, too: 7,40-59,100-999/50", default: "" },
    vms: { kind: "number", help: "VMs that are tried at once; their guests rest", default: 1 },
    json: { kind: "flag", help: "print JSON" },
  },
} as const;

const WIDTH = 80;
const WHAT_WIDTH = 47;

const fit = (text: string, width: number) =>
  (text.length > width ? `${text.slice(0, width - 1)}…` : text).padEnd(width);

function line({ what, verdict, outcome, newPid, ms }: RowResult): string {
  const pid = outcome === "" ? "" : newPid ? "new" : "same";
  const cells = [outcome.padEnd(9), pid.padEnd(4), `${Math.round(ms)}`.padStart(5), verdict];
  return `  ${fit(what, WHAT_WIDTH)} ${cells.join(" ")}`.trimEnd();
}

function wrap(text: string): string[] {
  const width = WIDTH - 6;
  const lines = text.split("\n").flatMap((whole) => {
    const count = Math.max(1, Math.ceil(whole.length / width));
    return Array.from({ length: count }, (_, i) => whole.slice(i * width, (i + 1) * width));
  });
  return lines.map((part) => `      ${part}`);
}

const HEAD = `  ${"The fault".padEnd(WHAT_WIDTH)} update    pid     ms verdict`;

await runBenchmark(about, async ({ only = "", short, cpus, at, vms, json }) => {
  if (!HAS_KVM) throw new Error("/dev/kvm cannot be used here");
  if (vms > 1 && cpus > 1) throw new UsageError("--vms takes guests of one vCPU: others would not rest");
  const wanted = new RegExp(only);
  const rows = (short ? shortRows() : allRows(byteRanges(at))).filter(({ group, what }) =>
    wanted.test(`${group}: ${what}`),
  );
  if (rows.length === 0) throw new Error(`there is no row that --only '${only}' matches`);
  const results: RowResult[] = [];
  let group = "";
  for await (const result of runBeside(rows, vms, { cpus })) {
    results.push(result);
    if (json) continue;
    if (group === "") console.log(`${HEAD}\n${"-".repeat(WIDTH)}`);
    if (result.group !== group) console.log(result.group);
    group = result.group;
    console.log([line(result), ...result.problems.flatMap(wrap)].join("\n"));
  }
  const count = (verdict: RowResult["verdict"]) => results.filter((row) => row.verdict === verdict).length;
  const totals = { held: count("held"), broken: count("broken"), skipped: count("skipped") };
  // rows that were skipped, or missing, have shown nothing
  if (totals.broken > 0 || totals.held === 0) process.exitCode = 1;
  if (json) return { ...totals, rows: results };
  return `${"-".repeat(WIDTH)}\n${totals.held} held, ${totals.broken} broken, ${totals.skipped} skipped`;
});
