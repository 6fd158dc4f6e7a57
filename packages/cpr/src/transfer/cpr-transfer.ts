/**
 * cpr-transfer: another process goes on with the guest. It is there and has built all that it can before the guest stops,
 * so that the pause is only: stop, save, send, load, run.
 *
 * The commit word decides who runs the guest. The successor wins it right before its first KVM_RUN; where it fails, dies
 * or takes too long before that, the source wins it back and goes on.
 */
import { close, fstat, lockedMemory, preadAll } from "@vmm/libc";
import { CommitWord } from "../commit-word.ts";
import { CprError, reasonOf } from "../cpr-error.ts";
import { CPR_FD, type CprState, encodeCprState, type MainChannel } from "../cpr-state.ts";
import { resolveExecTarget } from "../exec/exec-target.ts";
import { faultPoint } from "../fault.ts";
import type { FdEntry } from "../fd-table.ts";
import type { CprHost } from "../host.ts";
import { forgetReplacedFile, writeMain } from "../main-channel.ts";
import type { Attempt } from "../migration/attempt.ts";
import type { Channels } from "../migration/channels.ts";
import type { ModeDriver } from "../migration/mode-driver.ts";
import { MAX_REPORT, type PreflightReport, parseReport } from "../preflight/report.ts";
import { requireOk } from "../preflight/run-preflight.ts";
import { describeFds } from "../preserved-fds.ts";
import { sealedMemfd } from "../sealed-memfd.ts";
import { stateHeader } from "../state/clocks.ts";
import { encodeState } from "../state/codec.ts";
import type { StateHeader } from "../state/header.ts";
import type { SavedRecord } from "../state/record.ts";
import { checkStateTarget } from "../state-target.ts";
import { connectTransfer } from "./listen.ts";
import { type FdKey, sendTransfer } from "./protocol.ts";
import { StateWindow } from "./state-window.ts";
import { SuccessorLink } from "./successor-link.ts";

export interface CprTransferOptions {
  readonly host: CprHost;
  /** The successor's command line, for where no `cpr` channel leads to one that was started by hand. */
  readonly command: readonly string[];
  readonly channels: Channels;
  /** ms until a successor must say that it is ready. */
  readonly readyTimeoutMs: number;
  /** ms from the state's sending until the successor must run the guest. */
  readonly commitTimeoutMs: number;
  /** Whether a successor that says that it could not go on is left alone. */
  readonly preflight: boolean;
}

/** How often the state is encoded before it counts: code that runs for the first time takes several times as long. */
const REHEARSALS = 20;

const keyOf = ({ name, id }: FdEntry): FdKey => ({ name, id });

export class CprTransfer implements ModeDriver {
  readonly command?: readonly string[];
  /** The successor is asked instead of a process that looks only. */
  readonly asksItself = true;
  readonly completesLate = true;
  readonly #options: CprTransferOptions;
  #target = "";
  #link: SuccessorLink | undefined;
  #word: CommitWord | undefined;
  #window: StateWindow | undefined;
  /** Bytes of the state in the window; 0 where it goes another way. */
  #inWindow = 0;
  /** The entries that the successor has got; each entry of the table is an object of its own. */
  #sent: readonly FdEntry[] = [];
  #mainSocket: number | undefined;
  /** Where the state is, once it is written. */
  #written: MainChannel | undefined;
  #handedOver = false;

  /** @throws CprError `channel` where the main channel is of a type that there is not. */
  constructor(options: CprTransferOptions) {
    this.#options = options;
    if (!options.channels.cpr) this.command = options.command;
    else if (options.channels.cpr.type !== "unix")
      throw new CprError("channel", "the cpr channel of a transfer must be a unix socket");
  }

  check(): void {
    const { main } = this.#options.channels;
    if (main?.type === "file") checkStateTarget(main.path, main.offset, this.#options.host.ramBlocks());
    if (this.command) this.#target = resolveExecTarget(this.command, this.#options.host.environment);
  }

  async prepare(attempt: Attempt): Promise<void> {
    attempt.phases.begin("successor");
    faultPoint("start-successor");
    const word = this.#createCommitWord(attempt);
    const link = this.#open(attempt, word);
    const { host, mode } = attempt;
    const preview = encodeState(stateHeader(host, mode), host.previewState());
    if (!this.#options.channels.main) this.#createWindow(attempt, preview.length);
    await this.#begin(attempt, link, preview);
    const report = await this.#report(attempt, link);
    if (this.#options.preflight) requireOk(report);
    for (const warning of report.warnings) attempt.host.log?.(`successor: ${warning}`);
    this.#connectMain(attempt);
  }

  ready({ host, mode, undo }: Attempt): void {
    this.#window?.announce("soon");
    // the garbage collector has no reason to come in the pause then
    Bun.gc(true);
    for (let i = 0; i < REHEARSALS; i++) this.#encode(stateHeader(host, mode), host.previewState());
    host.prepareStop?.(undo);
  }

  stopped(): void {
    this.#window?.announce("stopped");
  }

  save({ host, undo }: Attempt, header: StateHeader, records: readonly SavedRecord[]): number {
    const bytes = this.#encode(header, records);
    if (this.#window?.holds(bytes)) {
      faultPoint("write-state");
      this.#inWindow = bytes.length;
    } else this.#written = writeMain(this.#main(), bytes, host.fds, undo);
    return bytes.length;
  }

  /** Writes the state: into the window, where that is all that the successor has yet to get. */
  #encode(header: StateHeader, records: readonly SavedRecord[]): Uint8Array {
    const { added, removed } = this.#changes();
    const window = added.length === 0 && removed.length === 0 ? this.#window : undefined;
    return encodeState(header, records, (length) => window?.room(length));
  }

  async switchOver(attempt: Attempt): Promise<void> {
    const { phases, host } = attempt;
    const [link, word] = [this.#link as SuccessorLink, this.#word as CommitWord];
    phases.begin("send");
    faultPoint("send-state");
    if (this.#inWindow > 0) this.#window?.publish(this.#inWindow);
    // from here on the successor may run the guest: whatever fails, the word decides
    try {
      faultPoint("published-state");
      this.#sendState(attempt, link);
      host.stateSent?.();
      phases.begin("successor runs");
      faultPoint("sent-state");
      await link.await("running", "does not run the guest", this.#options.commitTimeoutMs, attempt.goOn);
    } catch (error) {
      if (word.take("taken-back")) throw error;
      host.log?.(`the successor has won the guest; afterwards: ${reasonOf(error)}`);
    }
    this.#handedOver = true;
  }

  async settled(): Promise<void> {
    if (!this.#handedOver) return this.#link?.gone();
    this.#link?.close();
    this.#closeMain();
    if (this.#written) forgetReplacedFile(this.#written);
    for (const name of [CPR_FD.commitWord, CPR_FD.stateWindow]) this.#options.host.fds.deleteFd(name);
    this.#word?.close();
    this.#window?.close();
  }

  #main(): MainChannel {
    const { main } = this.#options.channels;
    return main?.type === "file" ? main : { type: "memfd" };
  }

  #createCommitWord({ host, undo }: Attempt): CommitWord {
    const word = CommitWord.create();
    undo.push("create commit word", () => {
      host.fds.deleteFd(CPR_FD.commitWord);
      word.close();
    });
    host.fds.resaveFd(CPR_FD.commitWord, 0, word.fd);
    this.#word = word;
    return word;
  }

  #createWindow({ host, undo }: Attempt, bytes: number): void {
    const window = StateWindow.create(bytes);
    undo.push("create state window", () => {
      host.fds.deleteFd(CPR_FD.stateWindow);
      window.close();
    });
    host.fds.resaveFd(CPR_FD.stateWindow, 0, window.fd);
    this.#window = window;
  }

  #open(attempt: Attempt, word: CommitWord): SuccessorLink {
    const { channels, host } = this.#options;
    const link = channels.cpr
      ? SuccessorLink.connect(channels.cpr.path)
      : SuccessorLink.start(this.#target, this.command as readonly string[], host.environment);
    attempt.undo.push("start successor", () => {
      // Before the guest goes on here it must be certain that the successor lets it.
      if (!word.take("taken-back") && word.owner !== "taken-back") attempt.lost = true;
      link.dismiss();
    });
    this.#link = link;
    return link;
  }

  /** Gives the successor all that it needs to build the machine, and a look at the state that it will have to load. */
  async #begin(attempt: Attempt, link: SuccessorLink, preview: Uint8Array): Promise<void> {
    const { main } = this.#options.channels;
    this.#sent = attempt.host.fds.entries();
    const messages: number[] = [];
    const mainSocket = main?.type === "unix" ? { mainSocket: main.path } : {};
    try {
      messages.push(sealedMemfd("vmm-cpr-state", encodeCprState(this.#state(attempt))));
      messages.push(sealedMemfd("vmm-preview", preview));
      const fds = [...this.#sent.map(({ fd }) => fd), ...messages];
      await link.begin({ type: "begin", ...mainSocket }, fds);
    } finally {
      for (const fd of messages) close(fd);
    }
  }

  #state({ host, mode, startNs }: Attempt): CprState {
    return {
      writer: host.version,
      mode,
      attempt: 0,
      fds: describeFds(host.fds),
      ids: host.ids.entries(),
      main: this.#main(),
      oldCommand: host.command,
      children: {},
      startNs,
      setupEndNs: 0,
      lockedBytes: lockedMemory(),
      phases: [],
    };
  }

  async #report(attempt: Attempt, link: SuccessorLink): Promise<PreflightReport> {
    const { fds } = await link.await("ready", "is not ready", this.#options.readyTimeoutMs, attempt.goOn);
    try {
      const [report] = fds;
      if (report === undefined) throw new CprError("preflight", "the successor gave no report");
      const bytes = new Uint8Array(new ArrayBuffer(Math.min(fstat(report).size, MAX_REPORT)));
      return parseReport(bytes.subarray(0, preadAll(report, bytes, 0)));
    } finally {
      for (const fd of fds) close(fd);
    }
  }

  /** The main channel of its own that was asked for: the successor listens there by now. */
  #connectMain({ undo }: Attempt): void {
    const { main } = this.#options.channels;
    if (main?.type !== "unix") return;
    this.#mainSocket = connectTransfer(main.path);
    undo.push("connect main channel", () => this.#closeMain());
  }

  #closeMain(): void {
    if (this.#mainSocket !== undefined) close(this.#mainSocket);
    this.#mainSocket = undefined;
  }

  /** What has changed in the fd table since the successor got it. */
  #changes(): { added: readonly FdEntry[]; removed: readonly FdEntry[] } {
    const now = this.#options.host.fds.entries();
    return {
      added: now.filter((entry) => !this.#sent.includes(entry)),
      removed: this.#sent.filter((entry) => !now.includes(entry)),
    };
  }

  /** All in one go: the state, where it is not in the window, and what has changed in the fd table. */
  #sendState({ host, setupEndNs, phases }: Attempt, link: SuccessorLink): void {
    const changes = this.#changes();
    const [socket, main] = [this.#mainSocket, host.fds.findFd(CPR_FD.main)];
    const apart = socket !== undefined && main !== undefined;
    if (apart) sendTransfer(socket, { type: "fds" }, [main]);
    const added = changes.added.filter(({ fd }) => !(apart && fd === main));
    const keys = { added: added.map(keyOf), removed: changes.removed.map(keyOf) };
    const message = { ...keys, setupEndNs, phases: phases.list() };
    const fds = added.map(({ fd }) => fd);
    link.sendState({ type: "state", main: this.#main(), ...message }, fds);
  }
}
