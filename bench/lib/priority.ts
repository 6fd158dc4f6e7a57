/** Measuring on a host that does other things as well. */
import { existsSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";

/** The highest priority that is not real-time: others get next to nothing while we want a core. */
const HIGHEST = -20;

/**
 * Puts a process, and all that it starts from now on, before the rest of the host's work.
 *
 * Where the kernel groups tasks by session (sched(7), autogroup), a priority counts within the group only, and the group
 * has one of its own: so a process that began a session of its own needs a call of its own.
 *
 * @returns false where we may not, as without root.
 */
export function goFirst(pid: number = process.pid): boolean {
  const group = `/proc/${pid}/autogroup`;
  try {
    setPriority(pid, HIGHEST);
    if (existsSync(group)) writeFileSync(group, `${HIGHEST}`);
    return true;
  } catch {
    return false;
  }
}

/** For a table's notes. */
export const priorityNote = (first: boolean): string =>
  first
    ? "All that was measured ran at nice -20, before the rest of the host's work."
    : "Measured at ordinary priority: what else the host did is in the figures (see --first).";
