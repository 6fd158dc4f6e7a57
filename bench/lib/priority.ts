/** Measuring on a host that does other things as well. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { atExit } from "./at-exit.ts";

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
  try {
    setPriority(pid, HIGHEST);
    raiseGroup(`/proc/${pid}/autogroup`);
    return true;
  } catch {
    return false;
  }
}

/** The group outlives us: it may be that of the user's shell. */
function raiseGroup(file: string): void {
  if (!existsSync(file)) return;
  // `/autogroup-123 nice 0`
  const [before] = /-?\d+$/.exec(readFileSync(file, "utf8").trim()) ?? ["0"];
  writeFileSync(file, `${HIGHEST}`);
  atExit(() => {
    if (existsSync(file)) writeFileSync(file, before);
  });
}

/** For a table's notes. */
export const priorityNote = (first: boolean): string =>
  first
    ? "All that was measured ran at nice -20, before the rest of the host's work."
    : "Measured at ordinary priority: what else the host did is in the figures (see --first).";
