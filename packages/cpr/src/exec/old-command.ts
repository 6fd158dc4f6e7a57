/** Going back to the VMM that ran before: the very program that it was, with the same command line. */
import { execveat } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import { CPR_FD, type CprState } from "../cpr-state.ts";
import { faultPoint } from "../fault.ts";
import type { FdTable } from "../fd-table.ts";
import { takeBackStateFile } from "../main-channel.ts";
import { cprExecPersistState, type Environment } from "../persist.ts";
import { adoptFds, preserveFds } from "../preserved-fds.ts";

/** A VMM that the keeper revived is the last resort: it has nothing that it could go back to. */
export const LAST_ATTEMPT = 1000;

/** The same state from the memfd, where the new VMM was to load it from a file; the file is no longer needed. */
function withoutFile(state: CprState, table: FdTable): CprState {
  if (state.main.type !== "file" || table.findFd(CPR_FD.main) === undefined) return state;
  takeBackStateFile(state.main);
  return { ...state, main: { type: "memfd" } };
}

/**
 * Replaces this process by the old VMM. Returns only by throwing, and then the process is of no more use.
 *
 * @param state What the old VMM is to load; its fds must be open in this process.
 */
export function execOldCommand(state: CprState, env: Environment): never {
  faultPoint("old-command");
  const table = adoptFds(state.fds);
  const exe = table.findFd(CPR_FD.oldExe);
  if (exe === undefined) throw new CprError("fd-missing", `the CPR state has no fd "${CPR_FD.oldExe}"`);
  const fd = cprExecPersistState(withoutFile(state, table), env);
  preserveFds(table, [fd]);
  return execveat(exe, state.oldCommand, env);
}
