/**
 * Going back to the VMM that ran before: the very program that it was, with the same command line, in the surroundings
 * that it had. Nothing of it may depend on what others can change meanwhile, such as a file's name.
 */
import { execveat } from "@vmm/libc";
import { CprError } from "../cpr-error.ts";
import { CPR_FD, type CprState } from "../cpr-state.ts";
import { faultPoint } from "../fault.ts";
import type { FdTable } from "../fd-table.ts";
import { takeBackStateFile } from "../main-channel.ts";
import { cprExecPersistState, type Environment } from "../persist.ts";
import { adoptFds, preserveFds } from "../preserved-fds.ts";
import { environmentOf, readSurroundings, restoreSurroundings } from "./surroundings.ts";

/** A VMM that the keeper revived is the last resort: it has nothing that it could go back to. */
export const LAST_ATTEMPT = 1000;

/** The same state from the memfd, where the new VMM was to load it from a file; the file is no longer needed. */
function withoutFile(state: CprState, table: FdTable): CprState {
  if (state.main.type !== "file" || table.findFd(CPR_FD.main) === undefined) return state;
  takeBackStateFile(state.main);
  return { ...state, main: { type: "memfd" } };
}

/**
 * The old VMM's variables, once all else is around this process as it was around that one.
 *
 * @param env The variables of this process, for a state whose writer noted none.
 */
function goBack({ oldSurroundings }: CprState, table: FdTable, env: Environment, exactly: boolean) {
  if (!oldSurroundings) return env;
  const before = readSurroundings(oldSurroundings);
  const failed = restoreSurroundings(before, table.findFd(CPR_FD.oldFolder));
  if (exactly && failed.length > 0) {
    const text = `this process cannot be made what the old VMM's was: ${failed.join("; ")}`;
    throw new CprError("exec-target", text);
  }
  for (const reason of failed) console.error(`vmm: the old VMM runs in other surroundings now: ${reason}`);
  return environmentOf(before);
}

/**
 * Replaces this process by the old VMM. Returns only by throwing, and then the process is of no more use.
 *
 * @param state What the old VMM is to load; its fds must be open in this process.
 * @param exactly Whether there is somebody else who could run it, where its surroundings cannot be put back here.
 */
export function execOldCommand(state: CprState, env: Environment, exactly = false): never {
  faultPoint("old-command");
  const table = adoptFds(state.fds);
  const exe = table.findFd(CPR_FD.oldExe);
  if (exe === undefined) throw new CprError("fd-missing", `the CPR state has no fd "${CPR_FD.oldExe}"`);
  const oldEnv = goBack(state, table, env, exactly);
  const fd = cprExecPersistState(withoutFile(state, table), oldEnv);
  preserveFds(table, [fd]);
  return execveat(exe, state.oldCommand, oldEnv);
}
