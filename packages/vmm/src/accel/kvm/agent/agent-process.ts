/** Agents as processes: children of ours, unless whoever started them has died since. */
import { isSyscallError, killIfThere, WNOHANG, waitpid } from "@vmm/libc";

/** Milliseconds between two looks at whether a killed agent is gone. */
const REAP_EVERY_MS = 5;

/**
 * Reaps an agent if it has ended, or once it has.
 *
 * @param flags 0 to wait for its end.
 * @returns Whether it has ended. Of one that is no child of ours, whether it is gone.
 */
export function reapIfEnded(pid: number, flags: typeof WNOHANG | 0 = WNOHANG): boolean {
  try {
    return waitpid(pid, flags) !== undefined;
  } catch (error) {
    if (!isSyscallError(error, "ECHILD")) throw error;
    return !killIfThere(pid, 0);
  }
}

/** Resolves when an agent that was killed is gone, or at once where it is no child of ours: its parent sees to it. */
export async function reap(pid: number): Promise<void> {
  while (isOurs(pid)) await Bun.sleep(REAP_EVERY_MS);
}

/** Whether it is a child that has not been reaped; one that has ended is. */
function isOurs(pid: number): boolean {
  try {
    return waitpid(pid, WNOHANG) === undefined;
  } catch (error) {
    if (!isSyscallError(error, "ECHILD")) throw error;
    return false;
  }
}
