/** Where the time of an update goes, as the VMMs themselves say. */
import { median, percentile } from "../lib/statistics.ts";
import { formatTable } from "../lib/table.ts";
import type { OwnReport } from "./subject.ts";

export interface PhaseFigures {
  readonly name: string;
  readonly median: number;
  readonly p99: number;
}

/** Figures in ms of each phase, in order. A phase that comes several times in an update counts as one. */
export function phasesOf(reports: readonly OwnReport[]): PhaseFigures[] {
  const times = new Map<string, number[]>();
  for (const { phases = [] } of reports) {
    for (const name of new Set(phases.map((phase) => phase.name))) {
      const ms = phases.reduce((sum, phase) => (phase.name === name ? sum + phase.ms : sum), 0);
      times.set(name, [...(times.get(name) ?? []), ms]);
    }
  }
  return [...times].map(([name, all]) => ({ name, median: median(all), p99: percentile(all, 99) }));
}

export function formatPhases({
  name,
  phasesMs,
}: {
  name: string;
  phasesMs: readonly PhaseFigures[];
}): string {
  if (phasesMs.length === 0) return "";
  return `\n${formatTable({
    title: `Where the time goes in ms, ${name}`,
    columns: ["phase", "median", "p99"],
    rows: phasesMs.map((phase) => [phase.name, phase.median, phase.p99]),
  })}\n`;
}
