/**
 * cpr-exec: this process replaces itself by the new program. The guest's memory, its devices' fds and its state stay in
 * fds that survive the exec.
 */
import { close, execve, O_CLOEXEC, O_RDONLY, open } from "@vmm/libc";
import { CommitWord } from "../commit-word.ts";
import { CprError } from "../cpr-error.ts";
import { CPR_FD, type CprState, type MainChannel } from "../cpr-state.ts";
import { faultPoint } from "../fault.ts";
import type { CprHost } from "../host.ts";
import { KeeperLink } from "../keeper/keeper-link.ts";
import { writeMain } from "../main-channel.ts";
import type { Attempt } from "../migration/attempt.ts";
import type { Channels } from "../migration/channels.ts";
import type { ModeDriver } from "../migration/mode-driver.ts";
import { cprExecPersistState, cprExecUnpersistState } from "../persist.ts";
import { describeFds, givePreservedFdsBack, preserveFds } from "../preserved-fds.ts";
import { encodeState } from "../state/codec.ts";
import type { StateHeader } from "../state/header.ts";
import type { SavedRecord } from "../state/record.ts";
import { checkStateTarget } from "../state-target.ts";
import { resolveExecTarget } from "./exec-target.ts";
import { resetStdio } from "./stdio.ts";
import { describeSurroundings, openWorkingFolder, type Surroundings } from "./surroundings.ts";
import { startTeardownHelper } from "./teardown-helper.ts";

export interface CprExecOptions {
  readonly host: CprHost;
  /** The new command line, argv[0] first. */
  readonly command: readonly string[];
  readonly channels: Channels;
  readonly commitTimeoutMs: number;
  /** A command line that runs `runKeeper`. */
  readonly keeperCommand: readonly string[];
}

export class CprExec implements ModeDriver {
  readonly command: readonly string[];
  readonly runOnMs: number;
  readonly #options: CprExecOptions;
  #main: MainChannel;
  #target = "";
  #surroundings: Surroundings | undefined;
  #keeper: KeeperLink | undefined;
  #teardownHelper = 0;

  /** @throws CprError `channel` where the main channel is not a file (or left out, for a memfd). */
  constructor(options: CprExecOptions) {
    const { main, cpr } = options.channels;
    if (cpr) throw new CprError("channel", "cpr-exec takes no cpr channel: the fds stay in the process");
    if (main && main.type !== "file") throw new CprError("channel", "cpr-exec needs a file: uri, or none");
    this.#options = options;
    this.#main = main ?? { type: "memfd" };
    this.command = options.command;
    this.runOnMs = options.commitTimeoutMs;
  }

  check(): void {
    const main = this.#main;
    if (main.type === "file") checkStateTarget(main.path, main.offset, this.#options.host.ramBlocks());
    this.#target = resolveExecTarget(this.command, this.#options.host.environment);
  }

  async prepare(attempt: Attempt): Promise<void> {
    const word = this.#createCommitWord(attempt);
    this.#keepOldProgram(attempt);
    attempt.phases.begin("keeper");
    await this.#startKeeper(attempt, word);
  }

  ready({ host, undo }: Attempt): void {
    faultPoint("teardown-helper");
    this.#teardownHelper = startTeardownHelper(undo, host.slowFds?.());
    this.#keeper?.watchHelper(this.#teardownHelper);
  }

  watchRunners(pids: readonly number[]): void {
    faultPoint("watch-runners");
    this.#keeper?.watchRunners(pids);
  }

  save({ host, undo }: Attempt, header: StateHeader, records: readonly SavedRecord[]): number {
    faultPoint("encode");
    const bytes = encodeState(header, records);
    // in a memfd in any case: the way back must not depend on a file that others can change
    writeMain({ type: "memfd" }, bytes, host.fds, undo);
    if (this.#main.type === "file") this.#main = writeMain(this.#main, bytes, host.fds, undo);
    return bytes.length;
  }

  /** Returns only by throwing: what was done until then is in the undo log. */
  switchOver(attempt: Attempt): void {
    const { host, undo, phases } = attempt;
    const env = host.environment;
    phases.begin("persist");
    if (host.leaveTerminal) undo.push("leave the terminal", host.leaveTerminal());
    faultPoint("stdio");
    resetStdio(undo);
    const state = this.#state(attempt);
    const fd = cprExecPersistState(state, env);
    undo.push("persist CPR state", () => cprExecUnpersistState(fd, env));
    faultPoint("hand-over");
    this.#keeper?.handOver(fd, state.fds);
    undo.push("clear CLOEXEC", givePreservedFdsBack);
    preserveFds(host.fds, [fd]);
    faultPoint("exec");
    execve(this.#target, this.command, env);
  }

  async settled(): Promise<void> {
    await this.#keeper?.gone();
  }

  #createCommitWord({ host, undo }: Attempt): CommitWord {
    const word = CommitWord.create();
    undo.push("create commit word", () => {
      host.fds.deleteFd(CPR_FD.commitWord);
      word.close();
    });
    host.fds.resaveFd(CPR_FD.commitWord, 0, word.fd);
    return word;
  }

  /** Keeps the program that runs now by fd, and what is around it: it can be run again whatever has changed meanwhile. */
  #keepOldProgram(attempt: Attempt): void {
    this.#keep(attempt, CPR_FD.oldExe, () => open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    this.#keep(attempt, CPR_FD.oldFolder, openWorkingFolder);
    this.#surroundings = describeSurroundings(attempt.host.environment);
  }

  #keep({ host, undo }: Attempt, name: string, openIt: () => number): void {
    faultPoint("old-program");
    const fd = openIt();
    undo.push(`keep ${name}`, () => {
      host.fds.deleteFd(name);
      close(fd);
    });
    host.fds.resaveFd(name, 0, fd);
  }

  async #startKeeper(attempt: Attempt, word: CommitWord): Promise<void> {
    const { keeperCommand, commitTimeoutMs, host } = this.#options;
    faultPoint("start-keeper");
    const keeper = KeeperLink.start(keeperCommand, host.environment);
    this.#keeper = keeper;
    attempt.undo.push("start keeper", () => {
      host.fds.deleteFd(CPR_FD.keeper);
      // Before the guest goes on here it must be certain that the keeper lets it.
      if (!word.take("taken-back")) attempt.lost = true;
      keeper.callOff();
    });
    host.fds.resaveFd(CPR_FD.keeper, 0, keeper.socket);
    faultPoint("arm-keeper");
    await keeper.arm(word, commitTimeoutMs, attempt.goOn);
  }

  #state({ host, phases, mode, startNs, setupEndNs }: Attempt): CprState {
    return {
      writer: host.version,
      mode,
      attempt: 0,
      fds: describeFds(host.fds),
      ids: host.ids.entries(),
      main: this.#main,
      oldCommand: host.command,
      ...(this.#surroundings && { oldSurroundings: this.#surroundings }),
      ...(host.configuration && { oldConfiguration: host.configuration() }),
      children: {
        teardownHelper: this.#teardownHelper,
        ...(this.#keeper && { keeper: this.#keeper.pid }),
      },
      startNs,
      setupEndNs,
      phases: phases.list(),
    };
  }
}
