/** What is special about a mode; `Migration` does what they have in common. */

import type { StateHeader } from "../state/header.ts";
import type { SavedRecord } from "../state/record.ts";
import type { Attempt } from "./attempt.ts";

export interface ModeDriver {
  /** The guest's vCPUs may run on until the next program takes them, at most so long (ms). */
  readonly runOnMs?: number;
  /** The command that is asked in a preflight, where the mode has one. */
  readonly command?: readonly string[];
  /** Whether `prepare` asks the new program itself, so that `migrate` runs no preflight. */
  readonly asksItself?: boolean;
  /** Whether the migration is only completed once `switchOver` has returned: the guest is in other hands until then. */
  readonly completesLate?: boolean;
  /** Whether the guest stays in this process, stopped: what was made is a copy. */
  readonly keepsGuest?: boolean;
  /** Checks all that can be checked without changing anything. Throws where the mode cannot work. */
  check(): void;
  /** The guest still runs. Each step pushes what takes it back to the attempt's undo log. */
  prepare(attempt: Attempt): Promise<void>;
  /** The last preparation: from here on nothing waits any more, for other processes or for the user. */
  ready?(attempt: Attempt): void;
  /** These processes are to run the guest while the program is replaced. */
  watchRunners?(pids: readonly number[]): void;
  /** The guest has just been stopped, and its state is saved next. */
  stopped?(): void;
  /** The guest is stopped: brings its state to where the next process will find it. Returns its size in bytes. */
  save(attempt: Attempt, header: StateHeader, records: readonly SavedRecord[]): number;
  /** All is saved. Returns (or resolves) where this process goes on without the guest. */
  switchOver(attempt: Attempt): void | Promise<void>;
  /** Resolves when nothing is left that the attempt started. */
  settled(): Promise<void>;
}
