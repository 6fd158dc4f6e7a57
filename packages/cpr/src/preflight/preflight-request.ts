/**
 * The new command's half of a preflight: it is started with CPR state as in an update, but with a variable that tells it
 * to look only. It loads what it can without touching what the guest uses, answers, and ends.
 */
import { close, ftruncate, pwriteAll } from "@vmm/libc";
import { CprError, reasonOf } from "../cpr-error.ts";
import { CPR_FD, type CprState, decodeCprState } from "../cpr-state.ts";
import { CPR_PREFLIGHT_ENV } from "../environment.ts";
import { faultPoint } from "../fault.ts";
import { checkPreservedFd } from "../fd-identity.ts";
import { FdTable } from "../fd-table.ts";
import { readMain } from "../main-channel.ts";
import { type Environment, fdFromEnvironment } from "../persist.ts";
import { givePreservedFdsBack } from "../preserved-fds.ts";
import { readSealedMemfd } from "../sealed-memfd.ts";
import { type DecodedState, decodeState } from "../state/codec.ts";
import type { PreflightBlock, PreflightReport } from "./report.ts";

const STATE_LIMIT = 16 << 20;

export interface PreflightRequest {
  readonly state: CprState;
  /** The live VM's fds, or those of them that arrived intact. Read only: the guest is running on them. */
  readonly fds: FdTable;
  /** What was found wrong already: fds that did not arrive or are not what they should be. */
  readonly blocks: readonly PreflightBlock[];
  /** The state as it would be loaded; contents may be torn. @throws CprError `state-*` */
  load(): DecodedState;
  /** Gives the answer, which includes `blocks`. The program should end after that. */
  answer(report: Omit<PreflightReport, "ok">): void;
}

/**
 * The preflight that this program was started for.
 *
 * @returns `undefined` where it was started for something else.
 * @throws CprError `state-*` where the request cannot be read.
 */
export function preflightRequest(env: Environment): PreflightRequest | undefined {
  const fd = fdFromEnvironment(CPR_PREFLIGHT_ENV, env);
  if (fd === undefined) return undefined;
  faultPoint("preflight");
  delete env[CPR_PREFLIGHT_ENV];
  givePreservedFdsBack();
  const state = decodeCprState(readSealedMemfd(fd, "CPR state", STATE_LIMIT));
  close(fd);
  const fds = new FdTable();
  const blocks: PreflightBlock[] = [];
  for (const saved of state.fds) {
    try {
      checkPreservedFd(saved);
      fds.saveFd(saved.name, saved.id, saved.fd);
    } catch (error) {
      blocks.push({ what: saved.name, reason: reasonOf(error) });
    }
  }
  return {
    state,
    fds,
    blocks,
    load: () => decodeState(readMain(state.main, fds)),
    answer: (report) => writeReport(fds, { ...report, blocks: [...blocks, ...report.blocks] }),
  };
}

function writeReport(fds: FdTable, report: Omit<PreflightReport, "ok">): void {
  const fd = fds.findFd(CPR_FD.preflightReport);
  if (fd === undefined) throw new CprError("fd-missing", "the preflight came without an fd for the report");
  const bytes = Buffer.from(JSON.stringify({ ok: report.blocks.length === 0, ...report }));
  pwriteAll(fd, bytes, 0);
  ftruncate(fd, bytes.length);
}
