/**
 * The successor's side of cpr-transfer. It blocks on the connection: nothing else runs on its main thread until it has the
 * guest, so nothing is between the state's arrival and its load.
 */
import { close, monotonicNs, POLLIN, poll, usleep } from "@vmm/libc";
import { CommitWord } from "../commit-word.ts";
import { CprError, reasonOf } from "../cpr-error.ts";
import { CPR_FD, type CprState } from "../cpr-state.ts";
import { CPR_TRANSFER_ENV } from "../environment.ts";
import { faultPoint } from "../fault.ts";
import { FdTable } from "../fd-table.ts";
import { IdTable } from "../id-table.ts";
import type { IncomingGuest, IncomingOutcome } from "../incoming/incoming-guest.ts";
import { readMain } from "../main-channel.ts";
import { isGone } from "../message-socket.ts";
import { type Environment, fdFromEnvironment } from "../persist.ts";
import { type Phase, PhaseClock } from "../phases.ts";
import type { PreflightReport } from "../preflight/report.ts";
import { givePreservedFdsBack } from "../preserved-fds.ts";
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
import {
  type Begin,
  receive,
  receiveBegin,
  receiveMain,
  type StateMessage,
  sourceGone,
  updateTable,
} from "./receive.ts";
import { StateWindow } from "./state-window.ts";

const STATE_LIMIT = 256 << 20;
/** For so long after `ready` the stop is looked for every ms: it comes soon, unless somebody has it wait. */
const EAGER_MS = 2000;
/** For so long at most it is looked for so often, once the guest is about to be stopped. */
const CLOSE_MS = 100;
const CLOSE_US = 50;
/** The longest time to spin for a state that is on the way; not where its sender could need the processor. */
const SPIN_MS = navigator.hardwareConcurrency > 1 ? 20 : 0;
/** The longest time that is waited for the source's last words. */
const FAREWELL_MS = 200;

/** What a successor does from the guest's stop to its state, where it learns of the stop in time. */
export interface Meanwhile {
  stopped(): void;
  /**
   * Goes through what comes first once more, so that the processor's caches hold it. There is time for a fraction of a ms: the
   * state is not seen before this returns.
   */
  rehearse(): unknown;
}

const NOTHING: Meanwhile = { stopped() {}, rehearse() {} };

export class TransferIncoming implements IncomingGuest {
  readonly fds: FdTable;
  readonly ids = new IdTable();
  readonly #socket: number;
  readonly #state: CprState;
  /** A sealed memfd, as the state's will be. */
  readonly #preview: number;
  #previewBytes: Uint8Array | undefined;
  readonly #goOn: () => void;
  readonly #word: CommitWord;
  readonly #window: StateWindow | undefined;
  #mainListener: TransferListener | undefined;
  readonly phases = new PhaseClock();
  /** `afterRun` leaves nothing for later. */
  readonly settled = Promise.resolve();
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
    const window = this.fds.findFd(CPR_FD.stateWindow);
    this.#window = window === undefined ? undefined : StateWindow.open(window);
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

  /** See `CprState`. */
  get lockedBytes(): number | undefined {
    return this.#state.lockedBytes;
  }

  /** The state as it would be loaded, from while the guest still runs: contents may be torn. @throws CprError `state-*` */
  preview(): DecodedState {
    // read once: rehearsals would leave some MiB of copies behind
    this.#previewBytes ??= readSealedMemfd(this.#preview, "preview of the saved state", STATE_LIMIT);
    return decodeState(this.#previewBytes);
  }

  /** Goes through what the arrival of the state will take, so that all that code has run. Returns the preview. */
  rehearse(): DecodedState {
    const message = checkMessage(JSON.parse(SAMPLE_STATE)) as StateMessage;
    this.#window?.take();
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

  /**
   * Waits for the stop of the guest and its state.
   *
   * @throws CprError `transfer` where the source thinks better of it.
   */
  awaitState(meanwhile: Meanwhile = NOTHING): void {
    if (this.#window === undefined || !this.#watch(this.#window, meanwhile)) this.#receiveState();
    faultPoint("receive-state");
  }

  /** Looks out for the state in the window. False where a message has come without it. */
  #watch(window: StateWindow, meanwhile: Meanwhile): boolean {
    const eagerUntil = performance.now() + EAGER_MS;
    let [stopped, closeUntil] = [false, 0];
    while (!window.isPublished) {
      this.#goOn();
      if (window.isAt("stopped") && !stopped) {
        stopped = true;
        passTime(window, meanwhile);
        continue;
      }
      const now = performance.now();
      if (window.isAt("soon")) closeUntil ||= now + CLOSE_MS;
      if (!stopped && now < closeUntil) usleep(CLOSE_US);
      else if (poll(this.#socket, POLLIN, stopped || now < eagerUntil ? 1 : LOOK_EVERY_MS) !== 0)
        return window.isPublished;
    }
    return true;
  }

  #receiveState(): void {
    const { message, fds } = receive(this.#socket, "state", this.#goOn);
    this.#message = message;
    updateTable(this.fds, message, fds);
    if (this.#mainListener) this.fds.saveFd(CPR_FD.main, 0, receiveMain(this.#mainListener, this.#goOn));
  }

  #read(): Uint8Array {
    if (this.#window?.isPublished) return this.#window.take();
    const main = this.#message?.main;
    if (!main) throw new CprError("transfer", "the state has not come yet");
    return readMain(main, this.fds);
  }

  load(): DecodedState {
    const bytes = this.#read();
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
    this.phases.end(runNs);
    this.#previewBytes = undefined;
    tell(this.#socket, { type: "running" });
    this.#hearOut();
    close(this.#socket);
    close(this.#preview);
    for (const name of Object.values(CPR_FD)) {
      const fd = this.fds.findFd(name);
      if (fd === undefined) continue;
      this.fds.deleteFd(name);
      if (name === CPR_FD.commitWord) this.#word.close();
      else if (name === CPR_FD.stateWindow) this.#window?.close();
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
      phases: this.#allPhases(),
      stateBytes: this.#stateBytes,
    };
  }

  /** The state came by the window: what the source has to say besides comes right behind. Or never, if it died then. */
  #hearOut(): void {
    if (this.#message || poll(this.#socket, POLLIN, FAREWELL_MS) === 0) return;
    const received = receiveTransfer(this.#socket);
    if (received !== undefined && received !== "end" && received.message.type === "state")
      this.#message = received.message;
  }

  /** The source's phases, ours, and the gap between the two; there may be none, as the source still tells when we begin. */
  #allPhases(): Phase[] {
    const [theirs, ours] = [this.#message?.phases ?? [], this.phases.list()];
    const endNs = ours[0]?.startNs ?? this.#runNs;
    const startNs = Math.min(theirs.at(-1)?.endNs ?? endNs, endNs);
    const gap = { name: "receive", startNs, endNs };
    return [...theirs, gap, ...ours];
  }

  /** The source has the guest still: it is told, and this process should end. */
  fallback(error: unknown): never {
    tell(this.#socket, { type: "failed", reason: reasonOf(error) });
    this.#mainListener?.close();
    throw error;
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

/** From the guest's stop to its state: to be woken takes longer than to look again and again, which is for a moment only. */
function passTime(window: StateWindow, { stopped, rehearse }: Meanwhile): void {
  stopped();
  if (!window.isPublished) rehearse();
  const end = performance.now() + SPIN_MS;
  while (performance.now() < end) if (window.isPublished) return;
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
