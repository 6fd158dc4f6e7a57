/** The driver of the mode that the parameters ask for. */
import { CprExec } from "../exec/cpr-exec.ts";
import { FileMigration } from "../file/file-migration.ts";
import type { CprHost } from "../host.ts";
import { CprTransfer } from "../transfer/cpr-transfer.ts";
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
  readonly preflight: boolean;
}

/** @throws CprError `channel` where the channels do not suit the mode. */
export function createDriver(options: DriverOptions): ModeDriver {
  const { host, parameters, capabilities, channels, keeperCommand, preflight } = options;
  const { mode, "cpr-exec-command": given } = parameters;
  const command = given.length > 0 ? given : host.command;
  const commitTimeoutMs = parameters["x-cpr-commit-timeout"];
  switch (mode) {
    case "cpr-exec":
      return new CprExec({ host, command, channels, commitTimeoutMs, keeperCommand });
    case "cpr-transfer": {
      const readyTimeoutMs = parameters["x-cpr-preflight-timeout"];
      return new CprTransfer({ host, command, channels, readyTimeoutMs, commitTimeoutMs, preflight });
    }
    case "cpr-reboot":
    case "normal":
      return new FileMigration({ host, mode, channels, ignoreShared: capabilities["x-ignore-shared"] });
  }
}
