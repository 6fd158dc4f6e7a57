/** The phases of an update: who is at work, and at what. */
import type { ReportPhase, UpdateReportData } from "./data.ts";

/** `asked`: the new command while it only answers the preflight. */
export type Actor = "old" | "asked" | "new";

interface KnownPhase {
  readonly actor: Actor;
  readonly meaning: string;
}

const KNOWN: ReadonlyMap<string, KnownPhase> = new Map<string, KnownPhase>([
  ["preflight", { actor: "asked", meaning: "The new command says whether it can load the live state" }],
  ["setup", { actor: "old", meaning: "Everything that has a say is asked and gets ready" }],
  ["keeper", { actor: "old", meaning: "The keeper starts, which would bring the old VMM back" }],
  ["successor", { actor: "old", meaning: "The successor starts and warms up" }],
  ["lull", { actor: "old", meaning: "Waits until the guest has just used its devices" }],
  ["stop", { actor: "old", meaning: "vCPUs stop, then devices" }],
  ["save", { actor: "old", meaning: "The state of devices and vCPUs is saved" }],
  ["copy RAM", { actor: "old", meaning: "RAM is copied to the file" }],
  ["sync", { actor: "old", meaning: "The disk has it all" }],
  ["pre-switchover", { actor: "old", meaning: "Waits for leave to switch over" }],
  ["persist", { actor: "old", meaning: "The list of what is preserved is sealed in a memfd" }],
  ["send", { actor: "old", meaning: "fds and state are sent to the successor" }],
  ["exec", { actor: "new", meaning: "The kernel replaces the program, which then starts" }],
  ["receive", { actor: "new", meaning: "The successor takes fds and state" }],
  ["successor runs", { actor: "new", meaning: "The successor loads the state and runs the guest" }],
  ["validate", { actor: "new", meaning: "Every preserved fd is checked" }],
  ["read state", { actor: "new", meaning: "The state is read from its file" }],
  ["decode", { actor: "new", meaning: "The state is read, and all of it checked" }],
  ["load RAM", { actor: "new", meaning: "RAM is filled from the file" }],
  ["build", { actor: "new", meaning: "The machine is built on the preserved fds" }],
  ["load", { actor: "new", meaning: "Devices and vCPUs get their state" }],
  ["switch", { actor: "new", meaning: "The new VMM takes the vCPUs from those that ran them meanwhile" }],
  ["resume", { actor: "new", meaning: "The guest is taken, and runs" }],
  ["fallback", { actor: "new", meaning: "The new VMM gives up and runs the old command again" }],
]);

export interface ShownPhase extends ReportPhase {
  /** From 1, as in the table. */
  readonly number: number;
  readonly actor: Actor;
  readonly meaning: string;
  /** For how long of it the guest stood still. */
  readonly stillMs: number;
}

/** A time during which the guest stood still. */
export interface Standstill {
  readonly startMs: number;
  readonly endMs: number;
}

/** As the VMM tells them; else one, from the stop of the vCPUs for as long as it says, or to the end of the last phase. */
export function standstillsOf({
  phases,
  blackoutMs,
  standstills,
}: Pick<UpdateReportData, "phases" | "blackoutMs" | "standstills">): Standstill[] {
  if (standstills) {
    return standstills.map(({ startMs, durationMs }) => ({ startMs, endMs: startMs + durationMs }));
  }
  const stop = phases.find(({ name }) => name === "stop");
  if (!stop) return [];
  const last = phases.at(-1) as ReportPhase;
  const endMs = blackoutMs === undefined ? last.startMs + last.durationMs : stop.startMs + blackoutMs;
  return [{ startMs: stop.startMs, endMs }];
}

/** The first and the last moment at which the guest stood still. */
export function standstillSpan(standstills: readonly Standstill[]): Standstill | undefined {
  const [first, last] = [standstills[0], standstills.at(-1)];
  return first && last && { startMs: first.startMs, endMs: last.endMs };
}

export function standstillMs(standstills: readonly Standstill[]): number {
  return standstills.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
}

/** Names of all phases that are known. */
export const knownPhases = (): string[] => [...KNOWN.keys()];

/**
 * The last phase of a new command that failed after the exec. It may have told of it, and run the old one itself; if it
 * did not, the keeper has, which then is another process.
 */
export function lastOfNew({
  phases,
  status,
  mode,
  pidBefore,
  pidAfter,
}: Pick<UpdateReportData, "phases" | "status" | "mode" | "pidBefore" | "pidAfter">): string | undefined {
  if (phases.some(({ name }) => name === "fallback")) return "fallback";
  const isRevived = status === "failed" && mode === "cpr-exec" && pidBefore !== pidAfter;
  return isRevived ? "exec" : undefined;
}

/** After the last phase of a new command that failed the old one does what that should have done. */
function actorOf(name: string, hasFallen: boolean, hasSwitched: boolean): Actor {
  if (hasFallen) return "old";
  return KNOWN.get(name)?.actor ?? (hasSwitched ? "new" : "old");
}

/** @param last See `lastOfNew`. */
export function showPhases(
  phases: readonly ReportPhase[],
  standstills: readonly Standstill[],
  last?: string,
): ShownPhase[] {
  let hasFallen = false;
  let hasSwitched = false;
  return phases.map((phase, i) => {
    const { name, startMs, durationMs } = phase;
    hasSwitched ||= name === "exec" || name === "receive";
    const overlap = (still: Standstill) =>
      Math.max(0, Math.min(still.endMs, startMs + durationMs) - Math.max(still.startMs, startMs));
    const actor = actorOf(name, hasFallen, hasSwitched);
    hasFallen ||= name === last;
    return {
      ...phase,
      number: i + 1,
      actor,
      meaning: KNOWN.get(name)?.meaning ?? "",
      stillMs: standstills.reduce((sum, still) => sum + overlap(still), 0),
    };
  });
}
