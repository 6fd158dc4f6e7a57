/** The CPR state with which the keeper becomes the VMM. */
import { CprError } from "../cpr-error.ts";
import { CPR_FD, type CprState } from "../cpr-state.ts";
import { LAST_ATTEMPT } from "../exec/old-command.ts";
import { keptFds } from "./protocol.ts";

/**
 * The state for the revived VMM: the same guest, no children, and no commit word, since nobody competes for it.
 *
 * @param fds The keeper's own numbers of the fds of `keptFds`, in that order.
 */
export function revivedState(state: CprState, fds: readonly number[], reason: string): CprState {
  const kept = keptFds(state.fds);
  if (kept.length !== fds.length) {
    throw new CprError("keeper", `the keeper has ${fds.length} of ${kept.length} preserved fds`);
  }
  return {
    ...state,
    attempt: LAST_ATTEMPT,
    failure: reason,
    fds: kept
      .map((entry, i) => ({ ...entry, fd: fds[i] as number }))
      .filter(({ name }) => name !== CPR_FD.commitWord),
    children: {},
  };
}
