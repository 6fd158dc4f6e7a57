/** `human-monitor-command`: the commands that people type, answered in text. */
import * as z from "zod/mini";
import { integer } from "../arguments.ts";
import { command, type QmpCommand } from "../command.ts";
import { runHmp } from "../hmp/run-hmp.ts";
import { QmpError } from "../qmp-error.ts";

const args = z.strictObject({ "command-line": z.string(), "cpu-index": z.optional(integer) });

export const HUMAN_MONITOR_COMMANDS: readonly QmpCommand[] = [
  command("human-monitor-command", {
    args,
    run({ "command-line": line, "cpu-index": cpu }, { host }) {
      if (cpu !== undefined && !host.cpus().some(({ index }) => index === cpu)) {
        throw new QmpError("Parameter 'cpu-index' expects a CPU number");
      }
      return runHmp(line, { host, cpu: cpu ?? 0 });
    },
  }),
];
