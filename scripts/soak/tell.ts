/** What a soak found, for people. */
import { hostFacts, type SoakReportData } from "@vmm/cli/report";
import { parseSize } from "@vmm/vmm/config/size.ts";
import { summarize } from "../../bench/lib/statistics.ts";
import { formatTable } from "../../bench/lib/table.ts";
import { GAUGES, type GaugeName, type Growth, type Sample } from "./gauges.ts";
import type { SoakOptions, SoakPause, SoakResult } from "./run-soak.ts";

const TITLES: Readonly<Record<GaugeName, string>> = {
  fds: "open fds",
  threads: "own threads",
  children: "children",
  processes: "other processes",
  rss: "private memory",
  state: "saved state",
};

const unitOf = (gauge: GaugeName) => (gauge === "rss" || gauge === "state" ? "bytes" : "count");

function pauseRows(pauses: readonly SoakPause[]): (string | number)[][] {
  return [...Map.groupBy(pauses, ({ mode }) => mode)].flatMap(([mode, mine]) => {
    const observed = mine.flatMap(({ observedMs }) => (observedMs === undefined ? [] : [observedMs]));
    const series: [string, number[]][] = [[mode, mine.map(({ reportedMs }) => reportedMs)]];
    if (observed.length > 0) series.push([`${mode}, from outside`, observed]);
    return series.map(([name, values]) => {
      const { count, min, median, p90, p99, max } = summarize(values);
      return [name, String(count), min, median, p90, p99, max];
    });
  });
}

function amount(gauge: GaugeName, value: number): string {
  return gauge === "rss" ? `${(value / 2 ** 20).toFixed(1)} MiB` : String(Math.round(value));
}

function growthRow({ gauge, mode, first, last, tolerance, grown }: Growth): string[] {
  const cells = [first, last, last - first, tolerance].map((value) => amount(gauge, value));
  return [`${TITLES[gauge]} (${mode})`, ...cells, grown ? "GROWN" : "no"];
}

/** Tables of at most 80 columns. */
export function soakText({ totalMs, pauses, growth, failures }: SoakResult): string {
  const seconds = Math.round(totalMs / 1000);
  const tables = [
    formatTable({
      title: `${pauses.length} live updates under one guest in ${seconds} s: the pause (ms)`,
      columns: ["mode", "updates", "min", "median", "p90", "p99", "max"],
      rows: pauseRows(pauses),
      notes: ["From outside: the longest time in an update that a vCPU did not count, whatever the reason."],
    }),
    formatTable({
      title: "Growth: the median of the last updates less that of the first",
      columns: ["", "first", "last", "growth", "tolerance", "grown"],
      rows: growth.map(growthRow),
      notes: [
        "Tolerated: for memory 2 MiB, or three times the spread of the samples at either end; for the state 64 bytes, since it has times in decimal digits; else nothing.",
      ],
    }),
  ];
  const outcome =
    failures.length === 0 ? "Nothing failed." : [`${failures.length} failed:`, ...failures].join("\n");
  return [...tables, outcome].join("\n\n");
}

/** What the page about it is made from. */
export function soakReport(options: SoakOptions, result: SoakResult): SoakReportData {
  const { version, startedAt, totalMs, pauses, samples, growth, failures } = result;
  const [first] = options.modes;
  const series = (gauge: GaugeName) =>
    samples.filter(({ mode }) => mode === first).map((s: Sample) => s[gauge]);
  const grown = growth.filter((each) => each.grown).map((each) => `grown: ${growthRow(each).join(" ")}`);
  return {
    vm: { name: "vm", cpus: options.cpus, memory: parseSize(options.memory, "memory"), accel: "kvm" },
    host: hostFacts(),
    version,
    startedAt,
    totalMs,
    measuredBy: "the new VMM, from the stop of the first vCPU until the last one ran",
    updates: pauses.map(({ mode, reportedMs }) => ({ mode, pauseMs: reportedMs })),
    gauges: GAUGES.map((gauge) => ({ name: TITLES[gauge], unit: unitOf(gauge), values: series(gauge) })),
    failures: [...failures, ...grown],
  };
}
