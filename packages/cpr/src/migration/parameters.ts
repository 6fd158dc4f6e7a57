/** Migration parameters (`migrate-set-parameters`): QEMU's names, and ours with the prefix `x-`. */
import { CprError } from "../cpr-error.ts";
import { isMigrationMode, MIGRATION_MODES, type MigrationMode } from "../modes.ts";

export interface MigrationParameters {
  readonly mode: MigrationMode;
  /** The command line that replaces this process, argv[0] first. Empty: the command that started this VMM. */
  readonly "cpr-exec-command": readonly string[];
  /** ms from exec until the new process must run the guest; then the keeper goes back to the old command. */
  readonly "x-cpr-commit-timeout": number;
  /** ms until a new command that has not answered the preflight is killed. */
  readonly "x-cpr-preflight-timeout": number;
}

export const DEFAULT_PARAMETERS: MigrationParameters = {
  mode: "normal",
  "cpr-exec-command": [],
  "x-cpr-commit-timeout": 10_000,
  "x-cpr-preflight-timeout": 10_000,
};

const MAX_TIMEOUT_MS = 3_600_000;
const MAX_ARGUMENTS = 4096;

function timeout(name: string, value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > MAX_TIMEOUT_MS) {
    throw new CprError("parameter", `Parameter '${name}' expects a number of ms from 1 to ${MAX_TIMEOUT_MS}`);
  }
  return value as number;
}

function command(value: unknown): readonly string[] {
  const fits =
    Array.isArray(value) &&
    value.length <= MAX_ARGUMENTS &&
    value.every((word) => typeof word === "string" && !word.includes("\0"));
  if (!fits || value[0] === "") {
    throw new CprError(
      "parameter",
      "Parameter 'cpr-exec-command' expects a list of words, the program first",
    );
  }
  return [...value];
}

function mode(value: unknown): MigrationMode {
  if (!isMigrationMode(value)) {
    throw new CprError("parameter", `Parameter 'mode' expects one of ${MIGRATION_MODES.join(", ")}`);
  }
  return value;
}

/**
 * The parameters with some of them changed.
 *
 * @throws CprError `parameter` for a parameter that does not exist or has an unfit value; nothing is changed then.
 */
export function changeParameters(
  old: MigrationParameters,
  change: Readonly<Record<string, unknown>>,
): MigrationParameters {
  const next: Record<string, unknown> = { ...old };
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) continue;
    if (name === "mode") next[name] = mode(value);
    else if (name === "cpr-exec-command") next[name] = command(value);
    else if (name === "x-cpr-commit-timeout" || name === "x-cpr-preflight-timeout")
      next[name] = timeout(name, value);
    else throw new CprError("parameter", `Parameter '${name}' is unexpected`);
  }
  return next as unknown as MigrationParameters;
}
