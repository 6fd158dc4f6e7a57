/** The statuses of a migration, with QEMU's names (`MigrationStatus` in qapi/migration.json). */
export type MigrationStatus =
  | "none"
  | "setup"
  | "active"
  | "pre-switchover"
  | "device"
  | "completed"
  | "failed"
  | "cancelling"
  | "cancelled";

/** Whether a migration is going on. */
export function isUnderWay(status: MigrationStatus): boolean {
  return !["none", "completed", "failed", "cancelled"].includes(status);
}
