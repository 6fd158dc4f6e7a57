/** A row of the fault matrix: a way in which an update fails, and what must come of it. */

import type { UpdateRequest } from "../update.ts";
import type { TestVm } from "../vm.ts";

/**
 * `refused`: nothing has begun. `failed`: the guest goes on under the old VMM. `completed`: the fault does no harm. Where a
 * row cannot know whether its fault strikes, `perhaps` is how the update ends if it does, or it completes.
 */
export type Outcome = "refused" | "failed" | "completed";

export type Expectation = {
  /** Whether the guest goes on in the same process, as it does where left out, or in another one. */
  readonly pid?: "same" | "new";
} & (
  | { readonly outcome: "completed" }
  | {
      readonly outcome: "refused" | "failed" | { readonly perhaps: readonly Outcome[] };
      /** What the reason must contain: a fault that struck, not any other. */
      readonly reason: string | RegExp;
    }
);

/** A row of several that differ in the number of a pass, of which there are as many as the update makes. */
export interface SeriesPass {
  readonly name: string;
  /** No row comes after this one: if its fault strikes too, there are passes that nobody tries. */
  readonly isLast: boolean;
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
  /** For what is left of the update to be gone (ms), where that takes longer than it should. */
  readonly settleMs?: number;
  /** There are no more rows of this series once the fault does not strike. */
  readonly series?: SeriesPass;
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
  /** The process that runs the guest. */
  readonly pid: number;
  /** How long the last healthy update took from its exec until the guest was the new VMM's (ms). */
  readonly startMs: number;
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

export interface Series {
  readonly name: string;
  /** As many passes as any update makes: a fault at one of these that does not strike shows that nothing is tried. */
  readonly least: number;
  /** More than any update makes. */
  readonly most: number;
  /** How an update ends in which it strikes at a pass. */
  readonly outcome?: (pass: number) => "refused" | "failed";
  readonly reason: string;
  readonly pid?: "same" | "new";
}

/** A row for each pass of a point; short runs try the last that is certain. */
export function seriesOf(
  { name, least, most, reason, outcome = () => "failed", pid = "same" }: Series,
  row: (pass: number) => Omit<FaultRow, "what" | "expect">,
): FaultRow[] {
  return Array.from({ length: most }, (_, i): FaultRow => {
    const pass = i + 1;
    const ends = outcome(pass);
    return {
      ...row(pass),
      what: `number ${pass}`,
      expect: { outcome: pass <= least ? ends : { perhaps: [ends] }, reason, pid },
      series: { name, isLast: pass === most },
      long: pass !== least,
    };
  });
}

/** The command with a fault in it, as the new VMM. */
export const withFault = (fault: string, command: readonly string[]): string[] => [
  "/usr/bin/env",
  `VMM_FAULT=${fault}`,
  ...command,
];
