/** A row of the fault matrix: a way in which an update fails, and what must come of it. */

import type { UpdateRequest } from "../update.ts";
import type { TestVm } from "../vm.ts";

export interface Expectation {
  /**
   * `refused`: nothing has begun. `failed`: the guest goes on under the old VMM. `completed`: the fault does no harm.
   * `either`: whether it fails is not for the row to say.
   */
  readonly outcome: "refused" | "failed" | "completed" | "either";
  /** What the reason must contain. */
  readonly reason?: string | RegExp;
  /** Whether the guest goes on in the same process or in another one; `any` where it depends. */
  readonly pid?: "same" | "new" | "any";
}

export interface FaultRow {
  readonly group: string;
  readonly what: string;
  /** The fault, as `VMM_FAULT` names it, of the process that is updated. */
  readonly source?: string;
  /** The calls in which the fault device is to fail; the row is for the VM that has one. */
  readonly device?: readonly string[];
  /** The update; a plain one where left out. */
  readonly request?: (context: RowContext) => UpdateRequest;
  readonly expect: Expectation;
  /** Whether the guest is paused, and has to stay so. */
  readonly paused?: boolean;
  /** One of several rows that differ in a number: there are no more once the fault does not strike. */
  readonly series?: string;
  /** Left out of the runs that have to be short. */
  readonly long?: boolean;
  /** Why it cannot be tried here. */
  readonly skip?: string;
}

/** What a row needs to know to make its update. */
export interface RowContext {
  readonly vm: TestVm;
  /** The healthy new command. */
  readonly command: readonly string[];
  /** A folder for the row's files, below the VM's; its contents must be gone when the row is over. */
  readonly folder: string;
}

export interface RowResult {
  readonly group: string;
  readonly what: string;
  readonly verdict: "held" | "broken" | "skipped";
  /** How the update ended. */
  readonly outcome: string;
  readonly reason: string;
  /** Whether the guest goes on in another process. */
  readonly newPid: boolean;
  /** The whole row (ms). */
  readonly ms: number;
  /** What is wrong, a line each; why it was skipped. */
  readonly problems: readonly string[];
}

/** A row for each of the first passes of a point. */
export function seriesOf(point: string, passes: number, row: (pass: number) => FaultRow): FaultRow[] {
  return Array.from({ length: passes }, (_, i) => ({ ...row(i + 1), series: point }));
}

/** The command with a fault in it, as the new VMM. */
export const withFault = (fault: string, command: readonly string[]): string[] => [
  "/usr/bin/env",
  `VMM_FAULT=${fault}`,
  ...command,
];
