/** What takes back the steps done so far: one record per resource, unwound in reverse order, each at most once. */
import { CprError, reasonOf } from "./cpr-error.ts";

/** A step that can still be taken back. */
export interface UndoRecord {
  readonly what: string;
  /** Forgets the record: the step is no longer to be taken back. */
  drop(): void;
}

/** Taking back this step failed. */
export interface UndoFailure {
  readonly what: string;
  readonly error: unknown;
}

interface Entry extends UndoRecord {
  readonly undo: () => void;
}

export class UndoLog {
  #entries: Entry[] = [];

  /** Names of the steps that would be taken back, oldest first. */
  get pending(): string[] {
    return this.#entries.map(({ what }) => what);
  }

  /**
   * Notes how to take back a step that has just been done. It must not assume that any other step was done.
   *
   * @param what The step's name in messages, such as `clear CLOEXEC`.
   */
  push(what: string, undo: () => void): UndoRecord {
    const entry: Entry = { what, undo, drop: () => this.#remove(entry) };
    this.#entries.push(entry);
    return entry;
  }

  /** Takes back every step, the latest first. One that fails does not keep the others from being taken back. */
  unwind(): UndoFailure[] {
    const failures: UndoFailure[] = [];
    for (let entry = this.#entries.pop(); entry; entry = this.#entries.pop()) {
      try {
        entry.undo();
      } catch (error) {
        failures.push({ what: entry.what, error });
      }
    }
    return failures;
  }

  /** Forgets everything: the steps stay done. */
  discard(): void {
    this.#entries = [];
  }

  #remove(entry: Entry): void {
    this.#entries = this.#entries.filter((other) => other !== entry);
  }
}

/** One line for several failures. */
export function describeUndoFailures(failures: readonly UndoFailure[]): string {
  return failures.map(({ what, error }) => `${what}: ${reasonOf(error)}`).join("; ");
}

/**
 * Does something and takes its steps back again, whether it works or fails.
 *
 * @throws CprError `undo` where taking back fails, else what `work` threw.
 */
export function takingBack<T>(work: (log: UndoLog) => T): T {
  const log = new UndoLog();
  let result: T;
  try {
    result = work(log);
  } catch (error) {
    const failures = log.unwind();
    if (failures.length === 0) throw error;
    const undone = `taking it back failed too: ${describeUndoFailures(failures)}`;
    throw new CprError("undo", `${reasonOf(error)}; ${undone}`, { cause: error });
  }
  const failures = log.unwind();
  if (failures.length > 0) throw new CprError("undo", `taking back ${describeUndoFailures(failures)}`);
  return result;
}
