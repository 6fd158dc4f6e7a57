/** How long a guest stands still in a live update, by an observer outside. */
import { floorKind } from "./blackout/floor-subject.ts";
import { haltOthers } from "./blackout/halt-others.ts";
import { type Measurement, measureUpdates } from "./blackout/measure.ts";
import { formatPhases, phasesOf } from "./blackout/phases.ts";
import { qemuKind } from "./blackout/qemu-subject.ts";
import type { SubjectKind, SubjectOptions } from "./blackout/subject.ts";
import { vmmKind } from "./blackout/vmm-subject.ts";
import { runBenchmark } from "./lib/options.ts";
import { goFirst, priorityNote } from "./lib/priority.ts";
import { median, summarize } from "./lib/statistics.ts";
import { formatTable } from "./lib/table.ts";

/** Where several are compared they take turns so often, so that all meet the same host. */
const TURNS = 2;

interface Result extends Measurement {
  readonly name: string;
}

/** Measures the kinds in turns; where `idle`, with all vCPUs but the first halted. */
async function measureKinds(
  kinds: readonly SubjectKind[],
  updates: number,
  options: SubjectOptions,
  idle: boolean,
): Promise<Result[]> {
  const turns = kinds.length > 1 ? TURNS : 1;
  const parts: { name: string; part: Measurement }[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const share = Math.floor((updates * (turn + 1)) / turns) - Math.floor((updates * turn) / turns);
    for (const kind of kinds) {
      const subject = await kind.start(options);
      try {
        parts.push({
          name: kind.name,
          part: await measureUpdates(idle ? await haltOthers(subject) : subject, share),
        });
      } finally {
        await subject.close();
      }
    }
  }
  return kinds.map(({ name }) => ({
    name,
    ...joined(parts.filter((p) => p.name === name).map((p) => p.part)),
  }));
}

function joined(parts: readonly Measurement[]): Measurement {
  const sum = (pick: (part: Measurement) => number) => parts.reduce((total, part) => total + pick(part), 0);
  return {
    pauses: parts.flatMap((part) => part.pauses),
    reports: parts.flatMap((part) => part.reports),
    seenMs: parts.flatMap((part) => part.seenMs),
    unseen: sum((part) => part.unseen),
    between: parts.flatMap((part) => part.between),
    observer: {
      samples: sum((part) => part.observer.samples),
      meanUs: sum((part) => part.observer.meanUs) / parts.length,
      late: sum((part) => part.observer.late),
      longestGapMs: Math.max(...parts.map((part) => part.observer.longestGapMs)),
      realTime: parts.every((part) => part.observer.realTime),
    },
  };
}

const optional = <T>(values: readonly number[], figure: (values: readonly number[]) => T): T | undefined =>
  values.length > 0 ? figure(values) : undefined;

function figures({ name, pauses, reports, seenMs, unseen, between, observer }: Result) {
  const reported = reports.flatMap(({ pauseMs }) => pauseMs ?? []);
  return {
    name,
    longestMs: optional(
      pauses.map((p) => p.longestMs),
      summarize,
    ),
    totalMs: optional(
      pauses.map((p) => p.totalMs),
      summarize,
    ),
    reportedMs: optional(reported, summarize),
    seenMs: optional(seenMs, summarize),
    phasesMs: phasesOf(reports),
    uncertaintyMs: optional(
      pauses.map((p) => p.uncertaintyMs),
      median,
    ),
    unseen,
    betweenMsPerS: optional(between, (values) => values.reduce((sum, ms) => sum + ms, 0) / values.length),
    observer,
  };
}

type Figures = ReturnType<typeof figures>;

const COLUMNS = ["", "median", "p99", "max", "total", "total p99", "own", "seen", "ratio"];

function row({ name, longestMs, totalMs, reportedMs, seenMs }: Figures, first: Figures | undefined) {
  const none = Number.NaN;
  const ratio = (first?.totalMs?.median ?? none) / (totalMs?.median ?? none);
  const longest = [longestMs?.median, longestMs?.p99, longestMs?.max];
  const rest = [totalMs?.median, totalMs?.p99, reportedMs?.median, seenMs?.median, ratio];
  return [name, ...[...longest, ...rest].map((value) => value ?? none)];
}

function notes(results: readonly Figures[], skipped: readonly string[]): string[] {
  const [first] = results;
  const sum = (pick: (figures: Figures) => number) => results.reduce((total, r) => total + pick(r), 0);
  const { meanUs = 0, realTime } = first?.observer ?? {};
  return [
    "median, p99, max: the longest standstill of an update, whatever the reason: what is started beside the guest takes its processor as well. total: all its standstills of 0.5 ms and more. own: the pause as the VMM itself reports it; seen: the standstills that the observer saw in it. ratio: our total to this one, at the median.",
    `The observer looked every ${Math.round(meanUs)} us${realTime ? " with real-time priority" : ""}; ${sum((r) => r.observer.late)} of ${sum((r) => r.observer.samples)} looks came late. A standstill is known to ±${(first?.uncertaintyMs ?? 0).toFixed(2)} ms.`,
    `From one update to the next the guest stood still for ${results.map((r) => `${(r.betweenMsPerS ?? 0).toFixed(1)} (${r.name})`).join(", ")} ms per second, by what the one left behind and by the host.`,
    ...results
      .filter((r) => r.unseen > 0)
      .map((r) => `${r.name}: ${r.unseen} updates were too short to be seen.`),
    ...skipped.map((reason) => `Skipped: ${reason}.`),
  ];
}

const about = {
  command: "bench:blackout",
  about: "How long a guest stands still in a live update, by an observer outside.",
  specs: {
    updates: { kind: "number", help: "how many updates of each", default: 50 },
    memory: { kind: "text", help: "the guest's RAM", default: "64M" },
    cpus: { kind: "number", help: "vCPUs", default: 1 },
    idle: { kind: "flag", help: "all vCPUs but the first halt" },
    touch: { kind: "flag", help: "touch every page of the RAM before" },
    mode: { kind: ["cpr-exec", "cpr-transfer"], help: "how this VMM is updated", default: "cpr-exec" },
    vs: { kind: ["qemu"], help: "measure QEMU's cpr-exec in turns" },
    floor: { kind: "flag", help: "measure a static C program in turns" },
    phases: { kind: "flag", help: "print where the time goes as well" },
    first: { kind: "flag", help: "before the rest of the host's work, at nice -20" },
    json: { kind: "flag", help: "print JSON" },
  },
} as const;

await runBenchmark(
  about,
  async ({ updates, memory, cpus, idle, touch, mode, vs, floor, phases, json, first }) => {
    const isFirst = first && goFirst();
    const wanted = [vmmKind(mode), ...(vs ? [qemuKind()] : []), ...(floor ? [floorKind] : [])];
    const skipped = wanted.flatMap((kind) => kind.unavailable() ?? []);
    const kinds = wanted.filter((kind) => kind.unavailable() === undefined);
    const results = (await measureKinds(kinds, updates, { memory, cpus, touch, first: isFirst }, idle)).map(
      figures,
    );
    if (json) return { updates, memory, cpus, idle, touch, mode, results, skipped, first: isFirst };
    const vcpus = `${cpus} vCPU${cpus > 1 ? "s" : ""}${idle ? ", all but one idle" : ""}`;
    const table = formatTable({
      title: `Standstill in ms, ${updates} updates by ${mode}, ${memory} of RAM${touch ? ", touched" : ""}, ${vcpus}`,
      columns: COLUMNS,
      rows: results.map((result) => row(result, results[0])),
      notes: [...notes(results, skipped), priorityNote(isFirst)],
    });
    return phases ? `${table}\n${results.map(formatPhases).join("")}` : table;
  },
);
