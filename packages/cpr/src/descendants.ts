/** A process with all that it has started: a wrapper that waits for the VMM, say, which holds the same fds. */

import { readdirSync } from "node:fs";
import { killIfThere, readFile, SIGKILL, SIGSTOP } from "@vmm/libc";

/** Processes whose families are looked through at the most. */
const LIMIT = 10_000;

/** The children of a process, by whichever of its threads they were started. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
      const text = new TextDecoder().decode(readFile(`/proc/${pid}/task/${tid}/children`));
      return text
        .split(" ")
        .filter((word) => word !== "")
        .map(Number);
    });
  } catch {
    // it has ended, or this kernel does not tell
    return [];
  }
}

/**
 * Stops a process and its descendants, so that they start no more.
 *
 * @param spared Pids that are left alone, with all that they have started.
 * @returns The pids of the descendants.
 */
export function stopFamily(pid: number, spared: ReadonlySet<number>): number[] {
  const family = [pid];
  for (let i = 0; i < family.length && family.length < LIMIT; i++) {
    const member = family[i] as number;
    killIfThere(member, SIGSTOP);
    family.push(...childrenOf(member).filter((child) => !spared.has(child)));
  }
  return family.slice(1);
}

/** Ends a process that we have started, with its process group and its descendants, which may have left that. */
export function endFamily({ pid, exitCode, signalCode }: Bun.Subprocess): void {
  const ended = exitCode !== null || signalCode !== null;
  const descendants = ended ? [] : stopFamily(pid, new Set());
  killIfThere(-pid, SIGKILL);
  endAll(descendants);
}

/** Ends processes that `stopFamily` has stopped. */
export function endAll(pids: readonly number[]): void {
  for (const pid of pids) killIfThere(pid, SIGKILL);
}

/** The pid of the process behind a pidfd; `undefined` where that has ended and was reaped. */
export function pidOf(pidfd: number): number | undefined {
  const text = new TextDecoder().decode(readFile(`/proc/self/fdinfo/${pidfd}`));
  const pid = Number(/^Pid:\s*(\d+)$/m.exec(text)?.[1] ?? 0);
  return pid > 0 ? pid : undefined;
}
