/**
 * Mode notifiers: how parts of the machine take part in an update.
 *
 * - `setup`: the guest still runs. A notifier may veto by throwing; it must then leave nothing behind by itself, for it
 *   gets no `failed`.
 * - `done`: the guest is stopped, its state saved; the process is replaced next. Throwing still takes everything back.
 * - `failed`: the update is taken back; the guest is stopped or never was. It comes to each notifier whose `setup` ran
 *   through (or that has none), the latest first, before the guest runs on. The machine is intact: KVM is open.
 */
import { CprError, reasonOf } from "./cpr-error.ts";
import type { MigrationMode } from "./modes.ts";
import type { UndoLog } from "./undo-log.ts";

export interface ModeNotifier {
  /** Whose it is, for messages. */
  readonly name: string;
  /** The modes in which it is to be called. */
  readonly modes: readonly MigrationMode[];
  setup?(mode: MigrationMode): void | Promise<void>;
  done?(mode: MigrationMode): void;
  failed?(mode: MigrationMode): void;
}

export class ModeNotifiers {
  #notifiers = new Set<ModeNotifier>();

  /** Registers a notifier; the result takes it off again. */
  add(notifier: ModeNotifier): () => void {
    this.#notifiers.add(notifier);
    return () => void this.#notifiers.delete(notifier);
  }

  #of(mode: MigrationMode): ModeNotifier[] {
    return [...this.#notifiers].filter(({ modes }) => modes.includes(mode));
  }

  /**
   * Calls `setup` in order of registration, and pushes each one's `failed` to the log.
   *
   * @param goOn Asked before each notifier; throws to stop between two of them.
   * @throws CprError `notifier` where one vetoes.
   */
  async setup(mode: MigrationMode, undo: UndoLog, goOn: () => void = () => {}): Promise<void> {
    for (const notifier of this.#of(mode)) {
      goOn();
      try {
        await notifier.setup?.(mode);
      } catch (cause) {
        throw new CprError("notifier", `${notifier.name} vetoes ${mode}: ${reasonOf(cause)}`, { cause });
      }
      if (notifier.failed) undo.push(`FAILED notifier of ${notifier.name}`, () => notifier.failed?.(mode));
    }
  }

  /** Calls `done` in order of registration. @throws CprError `notifier` where one cannot go on. */
  done(mode: MigrationMode): void {
    for (const notifier of this.#of(mode)) {
      try {
        notifier.done?.(mode);
      } catch (cause) {
        const text = `${notifier.name} cannot complete ${mode}: ${reasonOf(cause)}`;
        throw new CprError("notifier", text, { cause });
      }
    }
  }
}
