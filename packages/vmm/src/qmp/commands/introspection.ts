/** Commands about the VMM itself. */
import { command, type QmpCommand } from "../command.ts";
import { versionInfo } from "../version.ts";

/** @param names The names of all commands. */
export const introspectionCommands = (names: () => readonly string[]): readonly QmpCommand[] => [
  command("query-version", { run: (_args, { host }) => versionInfo(host.version) }),
  command("query-name", { run: (_args, { host }) => ({ name: host.name }) }),
  command("query-commands", { run: () => names().map((name) => ({ name })) }),
];
