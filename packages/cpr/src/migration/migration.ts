/**
 * The migration of this process's machine: QEMU's commands over the modes' drivers. Checks and blockers come first, then
 * the preflight; nothing has happened until here. The rest is `Outgoing`.
 */
import { monotonicNs } from "@vmm/libc";
import { Blockers } from "../blockers.ts";
import { CprError, reasonOf } from "../cpr-error.ts";
import type { CprHost } from "../host.ts";
import type { IncomingGuest, IncomingOutcome } from "../incoming/incoming-guest.ts";
import { MIGRATION_MODES, type MigrationMode, runsNewCommand } from "../modes.ts";
import { ModeNotifiers } from "../notifiers.ts";
import type { PreflightReport } from "../preflight/report.ts";
import { requireOk, runPreflight } from "../preflight/run-preflight.ts";
import { Attempt } from "./attempt.ts";
import {
  type Capabilities,
  changeCapabilities,
  DEFAULT_CAPABILITIES,
  type MigrationCapability,
} from "./capabilities.ts";
import { type ChannelArguments, readChannels } from "./channels.ts";
import { createDriver } from "./create-driver.ts";
import {
  describeFacts,
  factsOfAttempt,
  factsOfOutcome,
  type MigrationFacts,
  type MigrationInfo,
} from "./info.ts";
import type { ModeDriver } from "./mode-driver.ts";
import { Outgoing } from "./outgoing.ts";
import { changeParameters, DEFAULT_PARAMETERS, type MigrationParameters } from "./parameters.ts";
import { ramBlockers } from "./ram-blockers.ts";
import { isUnderWay, type MigrationStatus } from "./status.ts";
import { type IncomingArguments, openGuest, type TakeIn } from "./take-in.ts";

export interface MigrationOptions {
  readonly host: CprHost;
  /** A command line that runs `runKeeper`, such as `[process.execPath, "keeper.js"]`. */
  readonly keeperCommand: readonly string[];
  /** How the update went that made this process. */
  readonly incoming?: IncomingOutcome;
  /** Resolves when nothing is left of that update: processes, fds. */
  readonly settled?: Promise<void>;
  /** Of a process that waits for `migrate-incoming`. */
  readonly takeIn?: TakeIn;
}

export interface MigrateArguments extends ChannelArguments {
  /** Whether the new command is asked first. Yes, where left out. */
  readonly preflight?: boolean;
}

/** Run states from which there is nothing to migrate. */
const REFUSED_STATES: Readonly<Record<string, string>> = {
  inmigrate: "Guest is waiting for an incoming migration",
  postmigrate: "Can't migrate the vm that was paused due to previous migration",
  "finish-migrate": "There's a migration process in progress",
};

const ENDING = "The VM is about to end";

const noCommand = (mode: MigrationMode) =>
  new CprError("preflight", `mode ${mode} runs no new command that could be asked: set another mode`);

export class Migration {
  readonly blockers = new Blockers();
  readonly notifiers = new ModeNotifiers();
  readonly #host: CprHost;
  readonly #keeperCommand: readonly string[];
  #takeIn: TakeIn | undefined;
  #parameters: MigrationParameters = DEFAULT_PARAMETERS;
  #capabilities: Capabilities = DEFAULT_CAPABILITIES;
  #status: MigrationStatus = "none";
  #error: string | undefined;
  #facts: (() => MigrationFacts) | undefined;
  #outgoing: Outgoing | undefined;
  #preflight: AbortController | undefined;
  #finished: Promise<void> = Promise.resolve();
  /** Whether `finished` is still to come. */
  #busy = false;
  #cancels = 0;
  #closed = false;

  constructor({ host, keeperCommand, incoming, settled, takeIn }: MigrationOptions) {
    this.#host = host;
    this.#keeperCommand = keeperCommand;
    this.#takeIn = takeIn;
    if (settled) this.#finish(this.#goneOf(settled));
    if (!incoming) return;
    this.#status = incoming.status;
    this.#error = incoming.reason;
    this.#facts = () => factsOfOutcome(incoming);
  }

  get status(): MigrationStatus {
    return this.#status;
  }

  /** Resolves when the migration that came last, to here or from here, is over and nothing of it is left. Never rejects. */
  get finished(): Promise<void> {
    return this.#finished;
  }

  get parameters(): MigrationParameters {
    return this.#parameters;
  }

  /**
   * Changes parameters (`migrate-set-parameters`).
   *
   * @throws CprError `parameter`, or `blocked` for a mode that is not possible now.
   */
  setParameters(change: Readonly<Record<string, unknown>>): void {
    const next = changeParameters(this.#parameters, change);
    if (next.mode !== this.#parameters.mode) this.#checkBlockers(next.mode);
    this.#parameters = next;
  }

  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  /** Changes capabilities (`migrate-set-capabilities`). @throws CprError `parameter`, `busy` */
  async setCapabilities(
    changes: readonly { readonly capability: MigrationCapability | string; readonly state: boolean }[],
  ): Promise<void> {
    if (this.#isSettling) await this.#finished;
    this.#checkNothingUnderWay();
    this.#capabilities = changeCapabilities(this.#capabilities, changes);
  }

  /** All reasons against a mode (`blocked-reasons`). */
  blockedReasons(mode: MigrationMode = this.#parameters.mode): string[] {
    return [...this.blockers.reasons(mode), ...ramBlockers(this.#host.ramBlocks(), mode)];
  }

  /** What `query-migrate` answers. */
  info(): MigrationInfo {
    const reasons = this.blockedReasons();
    const blocked = this.#blockedModes();
    const ram = this.#host.ramBlocks().reduce((sum, { size }) => sum + size, 0);
    return {
      status: this.#status,
      ...(this.#facts && describeFacts(this.#facts(), ram, monotonicNs())),
      ...(this.#error !== undefined && { "error-desc": this.#error }),
      ...(reasons.length > 0 && { "blocked-reasons": reasons }),
      ...(blocked.length > 0 && { "x-blocked-reasons": Object.fromEntries(blocked) }),
    };
  }

  #blockedModes(): (readonly [MigrationMode, readonly string[]])[] {
    return MIGRATION_MODES.map((mode) => [mode, this.blockedReasons(mode)] as const).filter(
      ([, reasons]) => reasons.length > 0,
    );
  }

  /**
   * Asks the new command whether it could take over (`x-cpr-preflight`). The guest runs on, whatever the answer.
   *
   * @throws CprError where it cannot be asked at all.
   */
  async preflight(): Promise<PreflightReport> {
    if (this.#isSettling) await this.#settle();
    this.#checkIdle();
    const { mode } = this.#parameters;
    if (!runsNewCommand(mode)) throw noCommand(mode);
    this.#checkBlockers(mode);
    return this.#runPreflight(this.#createDriver({ preflight: true }));
  }

  /**
   * Begins a migration (`migrate`). Resolves once it is under way: its end is `finished`, or the end of this process.
   *
   * @throws CprError where it is refused: nothing has happened then, and the status is what it was.
   */
  async migrate(args: MigrateArguments = {}): Promise<void> {
    if (this.#isSettling) await this.#settle();
    this.#checkIdle();
    const { mode } = this.#parameters;
    const driver = this.#createDriver(args);
    this.#checkBlockers(mode);
    driver.check();
    const attempt = new Attempt(this.#host, mode, "preflight");
    if (args.preflight !== false && driver.command && !driver.asksItself) {
      requireOk(await this.#runPreflight(driver));
      // The guest may have stopped, or a device have come, while the command was asked.
      this.#checkIdle();
      this.#checkBlockers(mode);
    }
    const outgoing = new Outgoing({
      host: this.#host,
      notifiers: this.notifiers,
      attempt,
      driver,
      pauses: this.#capabilities["pause-before-switchover"],
      setStatus: (status, error) => {
        this.#error = error;
        this.#setStatus(status);
      },
    });
    this.#outgoing = outgoing;
    this.#error = undefined;
    this.#facts = () => factsOfAttempt(attempt);
    this.#setStatus("setup");
    this.#finish(this.#run(outgoing));
  }

  /**
   * Takes in a guest (`migrate-incoming`). Resolves once that is under way: its end is `finished`.
   *
   * @throws CprError where it is refused: nothing has happened then, and it may be tried again.
   */
  incoming({ exitOnError = true, ...channels }: IncomingArguments): void {
    const takeIn = this.#takeIn;
    if (!takeIn) throw new CprError("busy", "'-incoming' was not specified on the command line");
    if (this.#closed) throw new CprError("busy", ENDING);
    if (this.#status !== "none")
      throw new CprError("busy", "The incoming migration has already been started");
    const guest = openGuest(channels, takeIn);
    this.#setStatus("setup");
    this.#finish(this.#takeGuestIn(guest, takeIn, exitOnError));
  }

  async #takeGuestIn(guest: IncomingGuest, takeIn: TakeIn, exitOnError: boolean): Promise<void> {
    // Whoever asked has the answer before this process is busy, or gone.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      if (this.#closed) throw new CprError("busy", ENDING);
      this.#setStatus("active");
      await takeIn.take(guest);
      this.#takeIn = undefined;
      this.#facts = () => factsOfOutcome(guest.outcome());
      this.#setStatus("completed");
      await this.#goneOf(guest.settled);
    } catch (error) {
      this.#error = reasonOf(error);
      this.#setStatus("failed");
      // a process that ends goes back to no other program; one that can go back does
      if ((exitOnError || guest === takeIn.exec) && !this.#closed) takeIn.exit(error);
    }
  }

  /** What is left of an update goes by and by; what cannot be ended must not keep the next one from being tried. */
  async #goneOf(settled: Promise<void>): Promise<void> {
    await settled.catch((error) => this.#host.log?.(`the update before: ${reasonOf(error)}`));
  }

  /** Cancels (`migrate_cancel`) what is under way and not completed; else does nothing. */
  cancel(): void {
    this.#cancels++;
    this.#preflight?.abort();
    if (!this.#outgoing || !["setup", "active", "pre-switchover", "device"].includes(this.#status)) return;
    this.#setStatus("cancelling");
    this.#outgoing.cancel();
  }

  /**
   * Ends what is under way, and refuses all that would come after: an update that begins while the VM ends would have the
   * guest go on in another program. Resolves when nothing is under way. Never rejects.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.cancel();
    await this.#finished;
  }

  /** Goes on from pre-switchover (`migrate-continue`). @throws CprError `busy` in any other status. */
  continue(status: string): void {
    if (status !== this.#status)
      throw new CprError("busy", `Migration not in expected state: ${this.#status}`);
    if (!this.#outgoing?.continue())
      throw new CprError("busy", `Migration cannot be continued from ${status}`);
  }

  async #run(outgoing: Outgoing): Promise<void> {
    await outgoing.run();
    this.#outgoing = undefined;
  }

  #setStatus(status: MigrationStatus): void {
    // A cancelled migration is cancelling until it is cancelled, whatever step it was at.
    if (this.#status === "cancelling" && isUnderWay(status)) return;
    this.#status = status;
    try {
      this.#host.statusChanged(status);
    } catch (error) {
      // Nobody who listens may decide how the migration ends.
      this.#host.log?.(`MIGRATION event ${status}: ${reasonOf(error)}`);
    }
  }

  /** Whoever sees that a migration has ended may begin the next one at once: it waits for what is left of the other. */
  get #isSettling(): boolean {
    return this.#busy && !isUnderWay(this.#status);
  }

  /** Waits for that. @throws CprError `cancelled` where what waits is cancelled meanwhile. */
  async #settle(): Promise<void> {
    const cancels = this.#cancels;
    await this.#finished;
    if (this.#cancels !== cancels && !this.#closed)
      throw new CprError("cancelled", "the migration was cancelled");
  }

  /** @param finished Never rejects. */
  #finish(finished: Promise<void>): void {
    this.#busy = true;
    this.#finished = finished.then(() => {
      this.#busy = false;
    });
  }

  #checkIdle(): void {
    if (this.#closed) throw new CprError("busy", ENDING);
    const refused = REFUSED_STATES[this.#host.runState()];
    if (refused) throw new CprError("busy", refused);
    this.#checkNothingUnderWay();
  }

  #checkNothingUnderWay(): void {
    if (isUnderWay(this.#status) || this.#outgoing || this.#preflight) {
      throw new CprError("busy", "There's a migration process in progress");
    }
  }

  #checkBlockers(mode: MigrationMode): void {
    const reasons = this.blockedReasons(mode);
    if (reasons.length > 0) throw new CprError("blocked", reasons.join(" "));
  }

  #createDriver(args: MigrateArguments): ModeDriver {
    return createDriver({
      host: this.#host,
      parameters: this.#parameters,
      capabilities: this.#capabilities,
      channels: readChannels(args),
      keeperCommand: this.#keeperCommand,
      preflight: args.preflight !== false,
    });
  }

  async #runPreflight(driver: ModeDriver): Promise<PreflightReport> {
    const { mode, "x-cpr-preflight-timeout": timeoutMs } = this.#parameters;
    if (!driver.command) throw noCommand(mode);
    this.#preflight = new AbortController();
    try {
      const { signal } = this.#preflight;
      return await runPreflight({ host: this.#host, mode, command: driver.command, timeoutMs, signal });
    } finally {
      this.#preflight = undefined;
    }
  }
}
