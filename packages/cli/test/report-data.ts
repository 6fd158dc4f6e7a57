/** What reports are made from, for tests: an update as one on a fast host goes. */
import type { ReportPhase, SoakReportData, UpdateReportData } from "../src/report/index.ts";

const DURATIONS: readonly (readonly [string, number])[] = [
  ["preflight", 180],
  ["setup", 0.5],
  ["keeper", 120],
  ["stop", 1.4],
  ["save", 1],
  ["persist", 0.5],
  ["exec", 6],
  ["validate", 0.4],
  ["decode", 0.5],
  ["build", 2],
  ["load", 1],
  ["resume", 0.5],
];

/** Phases that follow on each other. */
export function phasesOf(durations: readonly (readonly [name: string, ms: number])[]): ReportPhase[] {
  let startMs = 0;
  return durations.map(([name, durationMs]) => {
    const phase = { name, startMs, durationMs };
    startMs += durationMs;
    return phase;
  });
}

export const PHASES = phasesOf(DURATIONS);

export const HOST = {
  system: "Linux 6.18.0 x86_64",
  processor: "Example 9000",
  cpus: 2,
  memory: 24 * 2 ** 30,
};
export const VM = { name: "web", cpus: 2, memory: 512 << 20, accel: "kvm" };

export const UPDATE: UpdateReportData = {
  vm: VM,
  host: HOST,
  mode: "cpr-exec",
  status: "completed",
  startedAt: Date.UTC(2026, 10, 3, 12, 0, 1),
  totalMs: 313.8,
  blackoutMs: 13.3,
  pidBefore: 4711,
  pidAfter: 4711,
  versionBefore: "0.1.0",
  versionAfter: "0.2.0",
  command: ["/usr/bin/vmm", "--config", "/run/vmm/web/config.json"],
  stateBytes: 87_680,
  phases: PHASES,
  seen: [{ what: "completed", atMs: 316 }],
};

/** A guest that counts 2000 in a ms, but for the time from `stop` to `run`, looked at every 0.2 ms. */
export function heartbeat(stop: number, run: number, end = 320) {
  const samples = [];
  for (let i = 0; i * 0.2 <= end; i++) {
    const atMs = i * 0.2;
    const counted = Math.min(atMs, stop) + Math.max(0, atMs - run);
    samples.push({ atMs, count: (4_294_900_000 + Math.round(counted * 2000)) % 2 ** 32 });
  }
  return samples;
}

export const SOAK: SoakReportData = {
  vm: VM,
  host: HOST,
  version: "0.1.0",
  startedAt: UPDATE.startedAt,
  totalMs: 42_000,
  measuredBy: "an observer of the guest's RAM",
  updates: Array.from({ length: 100 }, (_, i) =>
    i % 2 === 0
      ? { mode: "cpr-exec", pauseMs: 8 + (i % 10) / 10 }
      : { mode: "cpr-transfer", pauseMs: 2 + (i % 10) / 10 },
  ),
  gauges: [
    { name: "open fds", unit: "count", values: [31, 31, 31] },
    { name: "RSS", unit: "bytes", values: [56 << 20, 57 << 20, (56 << 20) + 1024] },
  ],
  failures: [],
};
