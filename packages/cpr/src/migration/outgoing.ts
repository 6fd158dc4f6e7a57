/**
 * A migration that is under way: **setup**: SETUP notifiers and the mode's own preparations, while the guest runs; then the
 * guest stops, **active**, [**pre-switchover**], **device**: its state is saved, **completed**; DONE notifiers, and the
 * mode hands over. A failure at any point is taken back by one path, `#takeBack`: every step has noted in the undo log how
 * to.
 */
import { monotonicNs } from "@vmm/libc";
import { CprError, reasonOf } from "../cpr-error.ts";
import { faultPoint } from "../fault.ts";
import type { CprHost } from "../host.ts";
import type { ModeNotifiers } from "../notifiers.ts";
import { stateHeader } from "../state/clocks.ts";
import type { StateHeader } from "../state/header.ts";
import { describeUndoFailures, takingBack, type UndoLog } from "../undo-log.ts";
import type { Attempt } from "./attempt.ts";
import type { ModeDriver } from "./mode-driver.ts";
import type { MigrationStatus } from "./status.ts";

export interface OutgoingOptions {
  readonly host: CprHost;
  readonly notifiers: ModeNotifiers;
  readonly attempt: Attempt;
  readonly driver: ModeDriver;
  /** Capability pause-before-switchover. */
  readonly pauses: boolean;
  /** @param error Why the migration failed, or what went wrong besides. */
  readonly setStatus: (status: MigrationStatus, error?: string) => void;
}

export class Outgoing {
  readonly #options: OutgoingOptions;
  #continue: (() => void) | undefined;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** Goes through it. Resolves once nothing of it is left; never rejects. */
  async run(): Promise<void> {
    const { attempt, driver, host } = this.#options;
    try {
      await this.#setup();
      await this.#complete();
      attempt.undo.discard();
      attempt.endNs = monotonicNs();
      host.postmigrate(!driver.keepsGuest);
    } catch (error) {
      this.#takeBack(error);
    } finally {
      await driver.settled().catch((error) => host.log?.(reasonOf(error)));
    }
  }

  cancel(): void {
    this.#options.attempt.cancel();
    this.#continue?.();
  }

  /** Goes on from pre-switchover. False where it does not wait there. */
  continue(): boolean {
    this.#continue?.();
    return this.#continue !== undefined;
  }

  async #setup(): Promise<void> {
    const { attempt, driver, notifiers } = this.#options;
    const { undo, phases, goOn, mode } = attempt;
    phases.begin("setup");
    faultPoint("setup");
    // At the bottom of the log: all else is taken back before the guest runs on.
    undo.push("stop the guest", () => this.#resume());
    await notifiers.setup(mode, undo, goOn);
    await driver.prepare(attempt);
    goOn();
    attempt.setupEndNs = monotonicNs();
  }

  /** The pause. With the guest stopped nothing is waited for, but in a pre-switchover that was asked for. */
  async #complete(): Promise<void> {
    const { attempt, driver, host, notifiers, pauses, setStatus } = this.#options;
    const { undo, phases, mode } = attempt;
    // who asked for a pause before the switch-over wants the guest to stand still, for as long as it takes
    if (!pauses) {
      await this.#awaitLull();
      await this.#getReady();
      this.#prepareRunOn();
    }
    const header = this.#stop();
    faultPoint("stop");
    setStatus("active");
    if (pauses) {
      await this.#preSwitchover();
      await this.#getReady();
    }
    driver.stopped?.();
    setStatus("device");
    phases.begin("save");
    const save = (log: UndoLog) => {
      log.push("detach irqfds", host.detachIrqfds());
      faultPoint("save");
      return driver.save(attempt, header, host.saveState(log));
    };
    // A guest that stays here gets back what saving it took, at once.
    attempt.stateBytes = driver.keepsGuest ? takingBack(save) : save(undo);
    if (!driver.completesLate) setStatus("completed");
    faultPoint("done");
    notifiers.done(mode);
    await driver.switchOver(attempt);
    if (driver.completesLate) setStatus("completed");
  }

  /** @returns The header of the guest's state, with the time at which the stop began. */
  #stop(): StateHeader {
    const { attempt, host } = this.#options;
    let header: StateHeader | undefined;
    const begins = () => {
      header = stateHeader(host, attempt.mode);
      attempt.stoppedNs = header.stoppedMonotonicNs;
      attempt.phases.begin("stop", attempt.stoppedNs);
    };
    host.stop(attempt.mode, begins);
    if (!header) throw new Error("the host did not say when it began to stop the guest");
    return header;
  }

  /** How long the vCPUs may run on while the program is replaced (ms); `undefined` where they are not to, or do not run. */
  get #runOnMs(): number | undefined {
    const { driver, host } = this.#options;
    return host.isRunning() ? driver.runOnMs : undefined;
  }

  /** vCPUs that run on stand still as soon as they need a device: better they do not. */
  async #awaitLull(): Promise<void> {
    const { attempt, host } = this.#options;
    if (!host.awaitLull || this.#runOnMs === undefined) return;
    attempt.phases.begin("lull");
    await host.awaitLull(attempt.goOn);
  }

  #prepareRunOn(): void {
    const { attempt, driver, host } = this.#options;
    if (this.#runOnMs === undefined || !host.prepareRunOn) return;
    driver.watchRunners?.(host.prepareRunOn(attempt.undo, this.#runOnMs));
  }

  /** The last preparations: from here on nothing is waited for, and nobody is heard. */
  async #getReady(): Promise<void> {
    const { attempt, driver, host } = this.#options;
    // where the guest stays here they end what is under way, however long it takes
    const letSignalsIn = driver.keepsGuest ? undefined : await host.holdSignals?.();
    if (letSignalsIn) attempt.undo.push("hold signals", letSignalsIn);
    attempt.goOn();
    // gone through once: with the guest about to stop, the first time would take longer
    stateHeader(host, attempt.mode);
    driver.ready?.(attempt);
  }

  async #preSwitchover(): Promise<void> {
    const { attempt, setStatus } = this.#options;
    attempt.phases.begin("pre-switchover");
    setStatus("pre-switchover");
    await new Promise<void>((resolve) => {
      this.#continue = resolve;
    });
    this.#continue = undefined;
    attempt.goOn();
  }

  #resume(): void {
    const { attempt, host } = this.#options;
    if (attempt.stoppedNs === 0) return;
    if (attempt.lost)
      throw new CprError("commit-lost", "the guest runs elsewhere: this process must not run it");
    host.resume();
  }

  /**
   * The one way back, for every failure at every step.
   *
   * The status may go from `completed` to `failed`: where the state was saved, but a DONE notifier or the exec itself
   * failed. As in QEMU, that is the only transition of its kind.
   */
  #takeBack(error: unknown): void {
    const { attempt, setStatus } = this.#options;
    const failures = attempt.undo.unwind();
    attempt.endNs = monotonicNs();
    const cancelled = error instanceof CprError && error.code === "cancelled";
    const undone = failures.length > 0 ? `taking it back failed too: ${describeUndoFailures(failures)}` : "";
    const reasons = [cancelled ? "" : reasonOf(error), undone].filter((text) => text !== "");
    setStatus(cancelled ? "cancelled" : "failed", reasons.join("; ") || undefined);
  }
}
