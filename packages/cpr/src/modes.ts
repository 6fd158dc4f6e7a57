/** The migration modes, with QEMU's names and in QEMU's order (`MigMode` in qapi/migration.json). */

export const MIGRATION_MODES = ["normal", "cpr-reboot", "cpr-transfer", "cpr-exec"] as const;

export type MigrationMode = (typeof MIGRATION_MODES)[number];

/** The modes in which a VMM is replaced on the same host. */
export type CprMode = Exclude<MigrationMode, "normal">;

export function isMigrationMode(mode: unknown): mode is MigrationMode {
  return (MIGRATION_MODES as readonly unknown[]).includes(mode);
}

/** Whether a new command goes on with the guest at once: it can be asked before. */
export function runsNewCommand(mode: MigrationMode): boolean {
  return mode === "cpr-exec" || mode === "cpr-transfer";
}

/** Whether guest RAM is handed over by fd and so has to be shareable. */
export function needsSharedRam(mode: MigrationMode): boolean {
  return mode === "cpr-exec" || mode === "cpr-transfer";
}
