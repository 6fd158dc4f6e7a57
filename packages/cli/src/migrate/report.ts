/** What `vmm migrate` says of an update. */
import { table } from "../command/text.ts";
import type { MigrationInfo } from "./follow.ts";

export interface UpdateReport {
  readonly name: string;
  readonly mode: string;
  readonly status: string;
  /** How long the guest stood still: from the stop of its first vCPU until its last one ran again. */
  readonly blackout_ms: number | undefined;
  readonly total_ms: number | undefined;
  readonly pid_before: number | undefined;
  readonly pid_after: number | undefined;
  /** Bytes of saved device state. */
  readonly state_bytes: number | undefined;
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
  readonly error?: string;
}

const round = (ms: number) => Math.round(ms * 1000) / 1000;

export function updateReport(
  info: MigrationInfo,
  facts: { name: string; mode: string; before: number | undefined; after: number | undefined },
): UpdateReport {
  const downtimeNs = info["x-downtime-ns"];
  const error = info["error-desc"];
  return {
    name: facts.name,
    mode: info["x-mode"] ?? facts.mode,
    status: info.status,
    blackout_ms: downtimeNs === undefined ? info.downtime : round(downtimeNs / 1e6),
    total_ms: info["total-time"],
    pid_before: facts.before,
    pid_after: facts.after,
    state_bytes: info["x-state-bytes"],
    phases: (info["x-phases"] ?? []).map(({ name, ...times }) => ({
      name,
      ms: round(times["duration-ns"] / 1e6),
    })),
    ...(error !== undefined && { error }),
  };
}

const ms = (value: number | undefined) => (value === undefined ? "?" : `${value.toFixed(1)} ms`);

/** The lines for people of an update that went well. */
export function successLines(report: UpdateReport): string[] {
  const { pid_before: before, pid_after: after } = report;
  const pids = before === after ? `pid ${after} before and after` : `pid ${before} before, ${after} after`;
  return [
    ...table(report.phases.map(({ name, ms: took }) => [`  ${name}`, ms(took).padStart(10)])),
    `The VMM of "${report.name}" was replaced: ${pids}.`,
    `blackout_ms ${report.blackout_ms ?? "?"}`,
  ];
}
