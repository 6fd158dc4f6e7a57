/**
 * The successor's side of cpr-transfer. It blocks on the connection: nothing else runs on its main thread until it has the
 * guest, so nothing is between the state's arrival and its load.
 */
import { close, monotonicNs, POLLIN, poll } from "@vmm/libc";
import { CommitWord } from "../commit-word.ts";
import { CprError, reasonOf } from "../cpr-error.ts";
import { CPR_FD, type CprState, decodeCprState } from "../cpr-state.ts";
import { CPR_TRANSFER_ENV } from "../environment.ts";
import { faultPoint } from "../fault.ts";
import { FdTable } from "../fd-table.ts";
import { IdTable } from "../id-table.ts";
import type { IncomingGuest, IncomingOutcome } from "../incoming/incoming-guest.ts";
import { readMain } from "../main-channel.ts";
import { isGone } from "../message-socket.ts";
import { type Environment, fdFromEnvironment } from "../persist.ts";
import { PhaseClock } from "../phases.ts";
import type { PreflightReport } from "../preflight/report.ts";
import { adoptFds, givePreservedFdsBack } from "../preserved-fds.ts";
import { readSealedMemfd, sealedMemfd } from "../sealed-memfd.ts";
import { type DecodedState, decodeState } from "../state/codec.ts";
import type { StateHeader } from "../state/header.ts";
import { LOOK_EVERY_MS, TransferListener } from "./listen.ts";
import {
  checkMessage,
  receiveTransfer,
  SAMPLE_STATE,
  sendTransfer,
  type TransferMessage,
} from "./protocol.ts";

const CPR_STATE_LIMIT = 16 << 20;
const STATE_LIMIT = 256 << 20;

type StateMessage = Extract<TransferMessage, { type: "state" }>;

export class TransferIncoming implements IncomingGuest {
  readonly fds: FdTable;
  readonly ids = new IdTable();
  readonly #socket: number;
  readonly #state: CprState;
  /** A sealed memfd, as the state's will be. */
  readonly #preview: number;
  readonly #goOn: () => void;
  readonly #word: CommitWord;
  #mainListener: TransferListener | undefined;
  #phases = new PhaseClock();
  #message: StateMessage | undefined;
  #header: StateHeader | undefined;
  #stateBytes = 0;
  #runNs = 0;

  private constructor(socket: number, goOn: () => void, begin: Begin) {
    this.#socket = socket;
    this.#goOn = goOn;
    this.#state = begin.state;
    this.#preview = begin.preview;
    this.fds = begin.fds;
    for (const { name, value } of begin.state.ids) this.ids.saveId(name, value);
    this.#word = CommitWord.open(begin.word);
    if (begin.mainSocket !== undefined) this.#mainListener = new TransferListener(begin.mainSocket);
  }

  /**
   * Waits for all that the source gives to build the machine on.
   *
   * @param socket The connection to the source; it is closed with this.
   * @param goOn Asked again and again while waiting; throws to give up.
   * @throws CprError `transfer`, `state-*`, `fd-*`; the source has been told.
   */
  static begin(socket: number, goOn: () => void): TransferIncoming {
    try {
      return new TransferIncoming(socket, goOn, receiveBegin(socket, goOn));
    } catch (error) {
      tell(socket, { type: "failed", reason: reasonOf(error) });
      throw error;
    }
  }

  get phases(): PhaseClock {
    return this.#phases;
  }

  /** The state as it would be loaded, from while the guest still runs: contents may be torn. @throws CprError `state-*` */
  preview(): DecodedState {
    return decodeState(readSealedMemfd(this.#preview, "preview of the saved state", STATE_LIMIT));
  }

  /** Goes through what the arrival of the state will take, so that all that code has run. Returns the preview. */
  rehearse(): DecodedState {
    const message = checkMessage(JSON.parse(SAMPLE_STATE)) as StateMessage;
    this.#phases = new PhaseClock([...message.phases]);
    updateTable(new FdTable(), message, [this.#preview]);
    return this.preview();
  }

  /**
   * Says that all is done that can be before the guest stops.
   *
   * @param report What stands in the way of going on, if anything.
   */
  ready(report: PreflightReport): void {
    faultPoint("ready");
    const fd = sealedMemfd("vmm-transfer-report", Buffer.from(JSON.stringify(report)));
    try {
      sendTransfer(this.#socket, { type: "ready" }, [fd]);
    } catch (error) {
      throw isGone(error) ? sourceGone() : error;
    } finally {
      close(fd);
    }
  }

  /** Waits for the stop of the guest and its state. @throws CprError `transfer` where the source thinks better of it. */
  awaitState(): void {
    const { message, fds } = receive(this.#socket, "state", this.#goOn);
    faultPoint("receive-state");
    const arrived = monotonicNs();
    this.#message = message;
    this.#phases = new PhaseClock([...message.phases]);
    this.#phases.begin("receive", message.phases.at(-1)?.endNs ?? arrived);
    updateTable(this.fds, message, fds);
    if (this.#mainListener) this.fds.saveFd(CPR_FD.main, 0, this.#receiveMain(this.#mainListener));
  }

  load(): DecodedState {
    const main = this.#message?.main;
    if (!main) throw new CprError("transfer", "the state has not come yet");
    const bytes = readMain(main, this.fds);
    const decoded = decodeState(bytes);
    this.#header = decoded.header;
    this.#stateBytes = bytes.length;
    return decoded;
  }

  commit(): void {
    faultPoint("commit");
    if (this.#word.take("taken-by-new")) return;
    throw new CprError("commit-lost", "the source has taken the guest back: this process came too late");
  }

  async afterRun(runNs: number = monotonicNs()): Promise<void> {
    this.#runNs = runNs;
    this.#phases.end(runNs);
    tell(this.#socket, { type: "running" });
    close(this.#socket);
    close(this.#preview);
    for (const name of Object.values(CPR_FD)) {
      const fd = this.fds.findFd(name);
      if (fd === undefined) continue;
      this.fds.deleteFd(name);
      if (name === CPR_FD.commitWord) this.#word.close();
      else close(fd);
    }
  }

  outcome(): IncomingOutcome {
    const { mode, startNs } = this.#state;
    return {
      mode,
      status: "completed",
      startNs,
      setupEndNs: this.#message?.setupEndNs ?? 0,
      stoppedNs: this.#header?.stoppedMonotonicNs ?? 0,
      runNs: this.#runNs,
      phases: this.#phases.list(),
      stateBytes: this.#stateBytes,
    };
  }

  /** The source has the guest still: it is told, and this process should end. */
  fallback(error: unknown): never {
    tell(this.#socket, { type: "failed", reason: reasonOf(error) });
    this.#mainListener?.close();
    throw error;
  }

  #receiveMain(listener: TransferListener): number {
    const connection = listener.accept(this.#goOn);
    try {
      for (;;) {
        const received = receiveTransfer(connection);
        if (received === "end")
          throw new CprError("transfer", "the main channel ended before the state came");
        const [fd] = received?.fds ?? [];
        if (fd !== undefined) return fd;
        this.#goOn();
        poll(connection, POLLIN, LOOK_EVERY_MS);
      }
    } finally {
      close(connection);
    }
  }
}

/** Brings the fd table up to date with what happened while the guest still ran. */
function updateTable(table: FdTable, { added, removed }: StateMessage, fds: readonly number[]): void {
  if (added.length !== fds.length) throw lacking();
  for (const { name, id } of removed) {
    const fd = table.findFd(name, id);
    table.deleteFd(name, id);
    if (fd !== undefined) close(fd);
  }
  added.forEach(({ name, id }, i) => void table.saveFd(name, id, fds[i] as number));
}

/** What `begin` brought. */
interface Begin {
  readonly state: CprState;
  readonly preview: number;
  readonly fds: FdTable;
  readonly word: number;
  readonly mainSocket?: string | undefined;
}

function receiveBegin(socket: number, goOn: () => void): Begin {
  const { message, fds: received } = receive(socket, "begin", goOn);
  const [stateFd, previewFd] = received.slice(-2);
  if (stateFd === undefined || previewFd === undefined) throw lacking();
  const state = decodeCprState(readSealedMemfd(stateFd, "CPR state", CPR_STATE_LIMIT));
  close(stateFd);
  const fds = adoptReceived(state, received.slice(0, -2));
  const word = fds.findFd(CPR_FD.commitWord);
  if (word === undefined) throw new CprError("fd-missing", `the source gave no fd "${CPR_FD.commitWord}"`);
  return { state, preview: previewFd, fds, word, mainSocket: message.mainSocket };
}

/** The next message, with all fds that came since the one before. */
function receive<T extends TransferMessage["type"]>(socket: number, type: T, goOn: () => void) {
  const fds: number[] = [];
  for (;;) {
    goOn();
    if (poll(socket, POLLIN, LOOK_EVERY_MS) === 0) continue;
    const received = receiveTransfer(socket);
    if (received === "end") throw sourceGone();
    if (!received) continue;
    fds.push(...received.fds);
    const { message } = received;
    if (message.type === type) return { message: message as Extract<TransferMessage, { type: T }>, fds };
    if (message.type !== "fds") throw new CprError("transfer", `the source said "${message.type}" too early`);
  }
}

/** The source may be gone: the commit word decides, not messages. */
function tell(socket: number, message: TransferMessage): void {
  try {
    sendTransfer(socket, message);
  } catch {
    // It has ended.
  }
}

const sourceGone = () => new CprError("transfer", "the source is gone, or goes on with the guest by itself");

const lacking = () => new CprError("fd-missing", "not all fds that the source told of have come");

/** The source's fds under the numbers that they have here. */
function adoptReceived({ fds }: CprState, received: readonly number[]): FdTable {
  if (fds.length !== received.length) throw lacking();
  return adoptFds(fds.map((entry, i) => ({ ...entry, fd: received[i] as number })));
}

/**
 * The connection to the source that started this process as its successor.
 *
 * @returns undefined where this process is none.
 * @throws CprError `state-invalid` where the variable makes no sense.
 */
export function transferSocket(env: Environment): number | undefined {
  const fd = fdFromEnvironment(CPR_TRANSFER_ENV, env);
  if (fd === undefined) return undefined;
  delete env[CPR_TRANSFER_ENV];
  givePreservedFdsBack();
  return fd;
}
