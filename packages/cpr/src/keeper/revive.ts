/** How the keeper becomes the VMM: the old command, with the fds that the keeper holds. */
import { execveat } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import { CPR_FD, type CprState } from "../cpr-state.ts";
import type { PreservedFd } from "../fd-identity.ts";
import { cprExecPersistState, type Environment } from "../persist.ts";
import { adoptFds, preserveFds } from "../preserved-fds.ts";
import { keptFds } from "./protocol.ts";

/** A revived VMM is the last resort: there is nothing that it could fall back to. */
export const LAST_ATTEMPT = 1000;

/** What only the update that failed had a use for. */
const OVER: readonly string[] = [CPR_FD.commitWord];

/**
 * The CPR state for the revived VMM.
 *
 * @param fds The keeper's own numbers of the fds of `keptFds`, in that order.
 */
export function revivedState(state: CprState, fds: readonly number[], reason: string): CprState {
  const kept = keptFds(state.fds);
  if (kept.length !== fds.length) {
    throw new CprError("keeper", `the keeper has ${fds.length} of ${kept.length} preserved fds`);
  }
  const renumbered = kept.map((entry, i): PreservedFd => ({ ...entry, fd: fds[i] as number }));
  return {
    ...state,
    attempt: LAST_ATTEMPT,
    failure: reason,
    fds: renumbered.filter(({ name }) => !OVER.includes(name)),
    children: {},
  };
}

/** Replaces this process by the old command. Returns only by throwing. */
export function execOldCommand(state: CprState, env: Environment): never {
  const table = adoptFds(state.fds);
  const exe = table.findFd(CPR_FD.oldExe);
  if (exe === undefined) throw new CprError("fd-missing", `the CPR state has no fd "${CPR_FD.oldExe}"`);
  const fd = cprExecPersistState(state, env);
  preserveFds(table, [fd]);
  return execveat(exe, state.oldCommand, env);
}
