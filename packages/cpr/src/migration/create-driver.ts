/** The driver of the mode that the parameters ask for. */
import { CprError } from "../cpr-error.ts";
import { CprExec } from "../exec/cpr-exec.ts";
import type { CprHost } from "../host.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Channels } from "./channels.ts";
import type { ModeDriver } from "./mode-driver.ts";
import type { MigrationParameters } from "./parameters.ts";

export interface DriverOptions {
  readonly host: CprHost;
  readonly parameters: MigrationParameters;
  readonly capabilities: Capabilities;
  readonly channels: Channels;
  readonly keeperCommand: readonly string[];
}

/** @throws CprError where the channels do not suit the mode. */
export function createDriver({ host, parameters, channels, keeperCommand }: DriverOptions): ModeDriver {
  const command = parameters["cpr-exec-command"];
  switch (parameters.mode) {
    case "cpr-exec":
      return new CprExec({
        host,
        command: command.length > 0 ? command : host.command,
        channels,
        commitTimeoutMs: parameters["x-cpr-commit-timeout"],
        keeperCommand,
      });
    default:
      throw new CprError(
        "parameter",
        `mode ${parameters.mode} is not supported by this version: set mode cpr-exec`,
      );
  }
}
