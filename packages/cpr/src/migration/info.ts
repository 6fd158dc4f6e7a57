/** What `query-migrate` answers: QEMU's `MigrationInfo` (qapi/migration.json), with our additions under `x-`. */
import type { IncomingOutcome, Standstill } from "../incoming/incoming-guest.ts";
import type { Phase } from "../phases.ts";
import type { Attempt } from "./attempt.ts";
import type { MigrationStatus } from "./status.ts";

export interface PhaseInfo {
  readonly name: string;
  /** ns since the migration began. */
  readonly "start-ns": number;
  readonly "duration-ns": number;
}

/** A time in which no vCPU ran. */
export interface StandstillInfo {
  /** ns since the migration began. */
  readonly "start-ns": number;
  readonly "duration-ns": number;
}

/** Sizes in bytes. RAM that stays in place is not transferred. */
export interface RamInfo {
  readonly total: number;
  readonly transferred: number;
  readonly remaining: number;
  readonly "page-size": number;
}

/** Times are whole ms, as in QEMU, unless their name says otherwise. */
export interface MigrationInfo {
  readonly status: MigrationStatus;
  readonly "setup-time"?: number;
  readonly "total-time"?: number;
  /** From the stop of the first vCPU until the guest ran again; in the new process, until its last vCPU ran. */
  readonly downtime?: number;
  readonly "x-downtime-ns"?: number;
  /**
   * The intervals in which the guest stood still, where it did not all the time between its stop and its run: the program
   * was replaced under it.
   */
  readonly "x-standstills"?: readonly StandstillInfo[];
  readonly ram?: RamInfo;
  readonly "error-desc"?: string;
  /** Against the mode that is set. */
  readonly "blocked-reasons"?: readonly string[];
  /** Against any mode: one that is blocked cannot be set. */
  readonly "x-blocked-reasons"?: Readonly<Record<string, readonly string[]>>;
  readonly "x-mode"?: string;
  /** When the migration began, ns of CLOCK_MONOTONIC: what others saw of it can be laid beside the phases. */
  readonly "x-start-ns"?: number;
  readonly "x-phases"?: readonly PhaseInfo[];
  /** Bytes of saved device state. */
  readonly "x-state-bytes"?: number;
}

/** What there is to say of a migration, whichever process it is seen from. */
export interface MigrationFacts {
  readonly mode: string;
  readonly startNs: number;
  readonly setupEndNs: number;
  readonly stoppedNs: number;
  /** When the guest ran again, or the migration was over; 0 while it is not. */
  readonly endNs: number;
  readonly phases: readonly Phase[];
  readonly stateBytes: number;
  readonly ramBytes?: number;
  /** When the guest stood still, where that was not from `stoppedNs` to `endNs`. */
  readonly standstills?: readonly Standstill[];
}

export function factsOfAttempt(attempt: Attempt): MigrationFacts {
  const { mode, startNs, setupEndNs, stoppedNs, endNs, stateBytes, ramBytes } = attempt;
  const phases = attempt.phases.list(endNs || undefined);
  return { mode, startNs, setupEndNs, stoppedNs, endNs, stateBytes, ramBytes, phases };
}

export function factsOfOutcome(outcome: IncomingOutcome): MigrationFacts {
  return { ...outcome, endNs: outcome.runNs };
}

const ms = (ns: number) => Math.round(ns / 1e6);

const PAGE_SIZE = 4096;

function downtime({ startNs, stoppedNs, standstills }: MigrationFacts, end: number): Partial<MigrationInfo> {
  const stillNs = standstills?.reduce((sum, { fromNs, toNs }) => sum + toNs - fromNs, 0) ?? end - stoppedNs;
  return {
    downtime: ms(stillNs),
    "x-downtime-ns": Math.round(stillNs),
    ...(standstills && {
      "x-standstills": standstills.map(({ fromNs, toNs }) => ({
        "start-ns": Math.round(fromNs - startNs),
        "duration-ns": Math.round(toNs - fromNs),
      })),
    }),
  };
}

/** The parts of the answer that tell of times and sizes. */
export function describeFacts(facts: MigrationFacts, ramTotal: number, now: number): Partial<MigrationInfo> {
  const { startNs, setupEndNs, stoppedNs, endNs } = facts;
  const end = endNs || now;
  return {
    "total-time": ms(end - startNs),
    ...(setupEndNs > 0 && { "setup-time": ms(setupEndNs - startNs) }),
    ...(stoppedNs > 0 && downtime(facts, end)),
    ram: {
      total: ramTotal,
      transferred: facts.stateBytes + (facts.ramBytes ?? 0),
      remaining: 0,
      "page-size": PAGE_SIZE,
    },
    "x-mode": facts.mode,
    "x-start-ns": Math.round(startNs),
    "x-state-bytes": facts.stateBytes,
    "x-phases": facts.phases.map(({ name, startNs: from, endNs: to }) => ({
      name,
      "start-ns": Math.round(from - startNs),
      "duration-ns": Math.round(to - from),
    })),
  };
}
