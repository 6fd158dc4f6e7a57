/** Migration capabilities (`migrate-set-capabilities`): those of QEMU's that mean something here. */
import { CprError } from "../cpr-error.ts";

export const MIGRATION_CAPABILITIES = ["events", "pause-before-switchover", "x-ignore-shared"] as const;

export type MigrationCapability = (typeof MIGRATION_CAPABILITIES)[number];

export type Capabilities = Readonly<Record<MigrationCapability, boolean>>;

export const DEFAULT_CAPABILITIES: Capabilities = {
  events: false,
  "pause-before-switchover": false,
  "x-ignore-shared": false,
};

/** @throws CprError `parameter` for a capability that does not exist; nothing is changed then. */
export function changeCapabilities(
  old: Capabilities,
  changes: readonly { readonly capability: string; readonly state: boolean }[],
): Capabilities {
  const next: Record<string, boolean> = { ...old };
  for (const { capability, state } of changes) {
    if (!(capability in DEFAULT_CAPABILITIES)) {
      const known = MIGRATION_CAPABILITIES.join(", ");
      throw new CprError("parameter", `Capability '${capability}' is not supported; there are ${known}`);
    }
    next[capability] = state;
  }
  return next as Record<MigrationCapability, boolean>;
}
