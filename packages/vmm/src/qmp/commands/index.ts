import type { QmpCommand } from "../command.ts";
import { DESCRIPTOR_COMMANDS } from "./descriptors.ts";
import { HUMAN_MONITOR_COMMANDS } from "./human-monitor.ts";
import { introspectionCommands } from "./introspection.ts";
import { MACHINE_COMMANDS } from "./machine.ts";
import { MIGRATION_COMMANDS } from "./migration.ts";
import { RUN_STATE_COMMANDS } from "./run-state.ts";

/** The command by which a client begins; a session answers it by itself. */
export const NEGOTIATION = "qmp_capabilities";

/** All commands by name, but for `qmp_capabilities`. */
export const COMMANDS: ReadonlyMap<string, QmpCommand> = new Map(
  [
    ...introspectionCommands(() => [NEGOTIATION, ...COMMANDS.keys()].sort()),
    ...RUN_STATE_COMMANDS,
    ...MACHINE_COMMANDS,
    ...MIGRATION_COMMANDS,
    ...DESCRIPTOR_COMMANDS,
    ...HUMAN_MONITOR_COMMANDS,
  ].map((command) => [command.name, command]),
);
