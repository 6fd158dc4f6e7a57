/**
 * The new process's side of cpr-exec: taking over what the old one left, the commit right before the guest runs, and the
 * way back to the old command while it does not.
 */
import { monotonicNs } from "@vmm/libc";
import { CommitWord } from "../commit-word.ts";
import { CprError, reasonOf } from "../cpr-error.ts";
import { CPR_FD, type CprState, type MainChannel } from "../cpr-state.ts";
import { execOldCommand, LAST_ATTEMPT } from "../exec/old-command.ts";
import { resetStdio } from "../exec/stdio.ts";
import { faultPoint } from "../fault.ts";
import type { FdTable } from "../fd-table.ts";
import { IdTable } from "../id-table.ts";
import type { JsonObject } from "../json-check.ts";
import { type KeeperMessage, sendMessage } from "../keeper/protocol.ts";
import { readMain } from "../main-channel.ts";
import { type Environment, takeCprState } from "../persist.ts";
import { PhaseClock } from "../phases.ts";
import { adoptFds } from "../preserved-fds.ts";
import { type DecodedState, decodeState } from "../state/codec.ts";
import type { StateHeader } from "../state/header.ts";
import { UndoLog } from "../undo-log.ts";
import type { IncomingGuest, IncomingOutcome, Standstill } from "./incoming-guest.ts";
import { releaseUpdate } from "./release.ts";

export class Incoming implements IncomingGuest {
  readonly state: CprState;
  /** The preserved fds: what is found here must not be created anew. */
  readonly fds: FdTable;
  readonly ids: IdTable;
  /** The phases so far; begin further ones as the load goes on. */
  readonly phases: PhaseClock;
  readonly #env: Environment;
  #main: MainChannel;
  #header: StateHeader | undefined;
  #stateBytes = 0;
  #word: CommitWord | undefined;
  #runNs = 0;
  #committed = false;
  #standstills: readonly Standstill[] | undefined;
  #settled: Promise<void> = Promise.resolve();

  constructor(state: CprState, fds: FdTable, env: Environment, phases: PhaseClock) {
    this.state = state;
    this.fds = fds;
    this.phases = phases;
    this.#env = env;
    this.#main = state.main;
    this.ids = new IdTable();
    for (const { name, value } of state.ids) this.ids.saveId(name, value);
  }

  /**
   * What the machine is to be built from, where this is the old command again and its writer noted it. Files that the
   * command names may have changed since they were read.
   */
  get configuration(): JsonObject | undefined {
    return this.state.attempt > 0 ? this.state.oldConfiguration : undefined;
  }

  /** Where the saved state is, for whoever was told another place than the CPR state has. */
  loadFrom(main: MainChannel): void {
    this.#main = main;
  }

  /**
   * The saved state. Nothing of the kernel's needs to be touched before it is known to be whole.
   *
   * @throws CprError `state-*`
   */
  load(): DecodedState {
    faultPoint("read-state");
    const bytes = readMain(this.#main, this.fds);
    const decoded = decodeState(bytes);
    this.#checkSame(bytes);
    this.#header = decoded.header;
    this.#stateBytes = bytes.length;
    return decoded;
  }

  /** Whoever names a file may name another one: no other state is to meet the RAM of this guest. */
  #checkSame(bytes: Uint8Array): void {
    if (this.#main.type !== "file" || this.fds.findFd(CPR_FD.main) === undefined) return;
    if (Buffer.compare(bytes, readMain({ type: "memfd" }, this.fds)) === 0) return;
    const { path } = this.#main;
    throw new CprError(
      "state-invalid",
      `the saved state in ${path} is not the one that this update has saved`,
    );
  }

  /** Whether this process has won the guest: no other will run it. */
  get isCommitted(): boolean {
    return this.#committed;
  }

  /** Makes ready for `commit`, so that it takes no time. */
  prepareCommit(): void {
    const fd = this.fds.findFd(CPR_FD.commitWord);
    if (fd !== undefined) this.#word ??= CommitWord.open(fd);
  }

  /**
   * Takes the guest: to be called right before the first KVM_RUN of any vCPU. From here on there is no way back.
   *
   * @throws CprError `commit-lost` where the keeper has taken it. This process must end without running the guest.
   */
  commit(): void {
    this.prepareCommit();
    faultPoint("commit");
    if (!this.#word || this.#word.take("taken-by-new")) {
      this.#committed = true;
      return;
    }
    throw new CprError("commit-lost", "the keeper has taken the guest back: this process came too late");
  }

  /**
   * Cleans up once the guest runs: tells the keeper, ends the teardown helper, closes what only the update needed.
   * Resolves when no process and no fd of it is left.
   *
   * @param runNs When the last vCPU ran, on CLOCK_MONOTONIC.
   * @param standstills When the guest stood still, where that was not from its stop to `runNs`.
   * @param others What else of the update is to be gone by then.
   */
  async afterRun(
    runNs: number = monotonicNs(),
    standstills?: readonly Standstill[],
    others: Promise<void> = Promise.resolve(),
  ): Promise<void> {
    this.#runNs = runNs;
    this.#standstills = standstills;
    this.phases.end(runNs);
    this.#tell({ type: "commit" });
    const word = this.#word;
    this.#word = undefined;
    this.#settled = Promise.all([releaseUpdate(this.state, this.fds, word), others]).then(() => {});
    await this.#settled;
  }

  get settled(): Promise<void> {
    return this.#settled;
  }

  /** How it went. After `afterRun` was called. */
  outcome(): IncomingOutcome {
    const { mode, failure, startNs, setupEndNs } = this.state;
    return {
      mode,
      status: failure === undefined ? "completed" : "failed",
      ...(failure === undefined ? {} : { reason: failure }),
      startNs,
      setupEndNs,
      stoppedNs: this.#header?.stoppedMonotonicNs ?? 0,
      runNs: this.#runNs,
      ...(this.#standstills && { standstills: this.#standstills }),
      phases: this.phases.list(),
      stateBytes: this.#stateBytes,
    };
  }

  /**
   * Goes back to the old command in this process, for whatever reason the guest cannot be run here. Returns only by
   * throwing: where this is the old command already, or it cannot be run. The keeper then does the same from outside as
   * soon as this process has ended.
   */
  fallback(error: unknown): never {
    const reason = reasonOf(error);
    // the guest runs, here or elsewhere
    if (this.#committed || (error instanceof CprError && error.code === "commit-lost")) throw error;
    if (this.state.attempt > 0) return this.#giveUp(allFailed(this.state, reason), error);
    try {
      const kept = this.#tell({ type: "fallback" });
      this.phases.begin("fallback");
      resetStdio(new UndoLog());
      const phases = this.phases.list();
      return execOldCommand(
        { ...this.state, attempt: this.state.attempt + 1, failure: reason, phases },
        this.#env,
        kept,
      );
    } catch (cause) {
      return this.#giveUp(`${reason}; and the old VMM cannot be run again here: ${reasonOf(cause)}`, cause);
    }
  }

  #giveUp(reason: string, cause: unknown): never {
    const next = this.#tell({ type: "failed", reason })
      ? "the keeper takes over from here"
      : "nobody is left who could run the guest";
    throw new CprError("keeper", `${reason}; ${next}`, { cause });
  }

  /** The keeper may be gone: the commit word decides, not its messages. Returns whether it is there. */
  #tell(message: KeeperMessage): boolean {
    return tellKeeper(this.state, message);
  }
}

/** Why neither the new VMM nor this old one runs the guest; what both say is said once. */
function allFailed({ attempt, failure }: CprState, reason: string): string {
  if (failure === undefined) return reason;
  const old = attempt === LAST_ATTEMPT ? "the old VMM that the keeper ran" : "the old VMM";
  if (failure.includes(reason)) return `${failure}; then ${old} failed in the same way`;
  return `${failure}; then ${old} failed as well: ${reason}`;
}

function tellKeeper(state: CprState, message: KeeperMessage): boolean {
  const keeper = state.fds.find(({ name }) => name === CPR_FD.keeper);
  if (!keeper) return false;
  try {
    sendMessage(keeper.fd, message);
    return true;
  } catch {
    // It has ended, or this fd never was its socket.
    return false;
  }
}

/**
 * Takes over what the process before left in the environment, and checks all of it before anything else is touched.
 *
 * @returns `undefined` where this process is not the successor of another.
 * @throws CprError where the CPR state cannot be read or an fd of it is not what it was. There is no way back within this
 *   process then; it should print the message and end, and the keeper brings the old VMM back.
 */
export function beginIncoming(env: Environment): Incoming | undefined {
  const startNs = monotonicNs();
  const state = takeCprState(env);
  if (!state) return undefined;
  const execNs = state.phases.at(-1)?.endNs ?? startNs;
  const phases = new PhaseClock([...state.phases, { name: "exec", startNs: execNs, endNs: startNs }]);
  phases.begin("validate", startNs);
  try {
    return new Incoming(state, adoptFds(state.fds), env, phases);
  } catch (error) {
    tellKeeper(state, { type: "failed", reason: reasonOf(error) });
    throw error;
  }
}
