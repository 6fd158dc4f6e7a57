/** How long a guest stands still in a live update, by an observer outside. */
import { floorKind } from "./blackout/floor-subject.ts";
import { type Measurement, measureUpdates } from "./blackout/measure.ts";
import { qemuKind } from "./blackout/qemu-subject.ts";
import type { SubjectKind, SubjectOptions } from "./blackout/subject.ts";
import { vmmKind } from "./blackout/vmm-subject.ts";
import { runBenchmark } from "./lib/options.ts";
import { median, summarize } from "./lib/statistics.ts";
import { formatTable } from "./lib/table.ts";

/** Where several are compared they take turns so often, so that all meet the same host. */
const TURNS = 2;

interface Result extends Measurement {
  readonly name: string;
}

/** Measures the kinds in turns. */
async function measureKinds(
  kinds: readonly SubjectKind[],
  updates: number,
  options: SubjectOptions,
): Promise<Result[]> {
  const turns = kinds.length > 1 ? TURNS : 1;
  const parts: { name: string; part: Measurement }[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const share = Math.floor((updates * (turn + 1)) / turns) - Math.floor((updates * turn) / turns);
    for (const kind of kinds) {
      const subject = await kind.start(options);
      try {
        parts.push({ name: kind.name, part: await measureUpdates(subject, share) });
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
    reported: parts.flatMap((part) => part.reported),
    unseen: sum((part) => part.unseen),
    observer: {
      samples: sum((part) => part.observer.samples),
      meanUs: sum((part) => part.observer.meanUs) / parts.length,
      late: sum((part) => part.observer.late),
      longestGapMs: Math.max(...parts.map((part) => part.observer.longestGapMs)),
      realTime: parts.every((part) => part.observer.realTime),
    },
  };
}

function figures({ name, pauses, reported, unseen, observer }: Result) {
  return {
    name,
    pauseMs: pauses.length > 0 ? summarize(pauses.map((p) => p.ms)) : undefined,
    sumMedianMs: pauses.length > 0 ? median(pauses.map((p) => p.sumMs)) : undefined,
    reportedMedianMs: reported.length > 0 ? median(reported) : undefined,
    uncertaintyMs: pauses.length > 0 ? median(pauses.map((p) => p.uncertaintyMs)) : undefined,
    unseen,
    observer,
  };
}

type Figures = ReturnType<typeof figures>;

function row({ name, pauseMs, sumMedianMs, reportedMedianMs }: Figures, first: Figures | undefined) {
  const missing = Number.NaN;
  const ratio = (first?.pauseMs?.median ?? missing) / (pauseMs?.median ?? missing);
  return [
    name,
    pauseMs?.median ?? missing,
    pauseMs?.p90 ?? missing,
    pauseMs?.p99 ?? missing,
    pauseMs?.max ?? missing,
    sumMedianMs ?? missing,
    reportedMedianMs ?? missing,
    ratio,
  ];
}

const about = {
  command: "bench:blackout",
  about: "How long a guest stands still in a live update, by an observer outside.",
  specs: {
    updates: { kind: "number", help: "how many updates of each", default: 50 },
    memory: { kind: "text", help: "the guest's RAM", default: "64M" },
    cpus: { kind: "number", help: "vCPUs", default: 1 },
    touch: { kind: "flag", help: "touch every page of the RAM before" },
    mode: { kind: ["cpr-exec", "cpr-transfer"], help: "how this VMM is updated", default: "cpr-exec" },
    vs: { kind: ["qemu"], help: "measure QEMU's cpr-exec in turns" },
    floor: { kind: "flag", help: "measure a static C program in turns" },
    json: { kind: "flag", help: "print JSON" },
  },
} as const;

await runBenchmark(about, async ({ updates, memory, cpus, touch, mode, vs, floor, json }) => {
  const wanted = [vmmKind(mode), ...(vs ? [qemuKind()] : []), ...(floor ? [floorKind] : [])];
  const skipped = wanted.flatMap((kind) => kind.unavailable() ?? []);
  const kinds = wanted.filter((kind) => kind.unavailable() === undefined);
  const results = (await measureKinds(kinds, updates, { memory, cpus, touch })).map(figures);
  if (json) return { updates, memory, cpus, touch, mode, results, skipped };
  const [first] = results;
  const [late, samples] = [results.map((r) => r.observer.late), results.map((r) => r.observer.samples)].map(
    (list) => list.reduce((sum, n) => sum + n, 0),
  );
  return formatTable({
    title: `Pause in ms, ${updates} updates, ${memory} RAM${touch ? ", touched" : ""}, ${cpus} vCPU${cpus > 1 ? "s" : ""}, ${mode}`,
    columns: ["", "median", "p90", "p99", "max", "sum", "own", "ratio"],
    rows: results.map((result) => row(result, first)),
    notes: [
      "pause: from the stop of the first vCPU until the last one runs. sum: with all standstills around it (median). own: what the VMM itself reports (median). ratio: our median to this one.",
      `The observer looked every ${Math.round(first?.observer.meanUs ?? 0)} us${first?.observer.realTime ? " with real-time priority" : ""}; ${late} of ${samples} looks came late. The edges of a pause are known to ±${(first?.uncertaintyMs ?? 0).toFixed(2)} ms.`,
      ...results
        .filter((r) => r.unseen > 0)
        .map((r) => `${r.name}: ${r.unseen} updates were too short to be seen.`),
      ...skipped.map((reason) => `Skipped: ${reason}.`),
    ],
  });
});
