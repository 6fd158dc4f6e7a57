/** Reasons why a mode is not possible now, each held by whoever causes it. */
import { CprError } from "./cpr-error.ts";
import { MIGRATION_MODES, type MigrationMode } from "./modes.ts";

/** A reason in force. */
export interface Blocker {
  readonly reason: string;
  /** Takes the reason away. Doing so twice does nothing. */
  remove(): void;
}

interface Entry extends Blocker {
  readonly modes: ReadonlySet<MigrationMode>;
}

export class Blockers {
  #entries = new Set<Entry>();

  /**
   * Blocks modes.
   *
   * @param modes The modes, or `all`.
   * @param reason One line: what stands in the way, and what would help.
   */
  add(modes: readonly MigrationMode[] | "all", reason: string): Blocker {
    const set = new Set(modes === "all" ? MIGRATION_MODES : modes);
    const entry: Entry = { modes: set, reason, remove: () => void this.#entries.delete(entry) };
    this.#entries.add(entry);
    return entry;
  }

  /** All reasons against a mode, oldest first. */
  reasons(mode: MigrationMode): string[] {
    return [...this.#entries].filter(({ modes }) => modes.has(mode)).map(({ reason }) => reason);
  }

  /** @throws CprError `blocked`, with the reasons, where there are any against the mode. */
  check(mode: MigrationMode): void {
    const reasons = this.reasons(mode);
    if (reasons.length > 0) throw new CprError("blocked", reasons.join(" "));
  }
}
