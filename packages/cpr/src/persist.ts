/** How CPR state reaches the next program: in a sealed memfd whose number is in the environment. */
import { close } from "@vmm/libc";
import { CprError } from "./cpr-error.ts";
import { type CprState, decodeCprState, encodeCprState } from "./cpr-state.ts";
import { CPR_STATE_ENV } from "./environment.ts";
import { faultPoint } from "./fault.ts";
import type { FdTable } from "./fd-table.ts";
import { adoptFds, givePreservedFdsBack } from "./preserved-fds.ts";
import { readSealedMemfd, sealedMemfd } from "./sealed-memfd.ts";

/** Variables of a program; `process.env` is one. */
export type Environment = Record<string, string | undefined>;

const LIMIT = 16 << 20;

/** The fd number in a variable. @throws CprError `state-invalid` where it is not a number. */
export function fdFromEnvironment(name: string, env: Environment): number | undefined {
  const text = env[name];
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,9}$/.test(text)) {
    throw new CprError(
      "state-invalid",
      `${name}=${text}: this is not the number of an fd; unset the variable`,
    );
  }
  return Number(text);
}

/**
 * Writes the state to a sealed memfd and its number to the environment.
 *
 * @returns The fd; `preserveFds` lets it survive the exec.
 */
export function cprExecPersistState(state: CprState, env: Environment): number {
  const fd = sealedMemfd("vmm-cpr-state", encodeCprState(state));
  env[CPR_STATE_ENV] = String(fd);
  return fd;
}

/** Undoes `cprExecPersistState`: no memfd, no variable. */
export function cprExecUnpersistState(fd: number, env: Environment): void {
  delete env[CPR_STATE_ENV];
  close(fd);
}

/**
 * Takes the CPR state that the environment names, in a new program: reads and checks it, and takes away variable and fd by
 * which it came. Neither is passed on from here by accident.
 *
 * @returns `undefined` where the environment names none.
 * @throws CprError `state-*`: in one line, why it cannot be used.
 */
export function takeCprState(env: Environment): CprState | undefined {
  const fd = fdFromEnvironment(CPR_STATE_ENV, env);
  if (fd === undefined) return undefined;
  faultPoint("read-cpr-state");
  delete env[CPR_STATE_ENV];
  givePreservedFdsBack();
  const bytes = readSealedMemfd(fd, "CPR state", LIMIT);
  close(fd);
  return decodeCprState(bytes);
}

/**
 * As `takeCprState`, and checks every fd of it as well: each must be open and the very object that it was.
 *
 * @throws CprError `state-*`, `fd-missing`, `fd-kind`
 */
export function cprExecLoadState(env: Environment): { state: CprState; fds: FdTable } | undefined {
  const state = takeCprState(env);
  return state && { state, fds: adoptFds(state.fds) };
}
