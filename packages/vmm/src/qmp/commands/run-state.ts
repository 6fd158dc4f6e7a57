/** Commands that look at the guest's run state, and change it. */
import { command, type QmpCommand } from "../command.ts";

export const RUN_STATE_COMMANDS: readonly QmpCommand[] = [
  command("query-status", {
    run(_args, { host }) {
      const status = host.runState();
      return { status, running: status === "running" };
    },
  }),
  command("stop", { run: (_args, { host }) => host.stop() }),
  command("cont", { run: (_args, { host }) => host.cont() }),
  command("system_reset", { run: (_args, { host }) => host.reset() }),
  command("system_powerdown", { run: (_args, { host }) => host.powerdown() }),
  command("quit", { run: (_args, { host }) => host.quit() }),
];
