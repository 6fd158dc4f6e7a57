/** What went wrong, as a closed set that programs can test for. */
export type CprErrorCode =
  /** Not a saved state or CPR state at all. */
  | "state-magic"
  /** A format that this program does not read. */
  | "state-version"
  | "state-truncated"
  /** The checksum does not fit the bytes. */
  | "state-corrupt"
  /** The checksum fits, but what is described makes no sense, or exceeds a limit. */
  | "state-invalid"
  /** A record that no device claims, or that cannot be loaded by this version. */
  | "record"
  | "fd-name"
  | "fd-limit"
  /** A preserved fd is not open, is not what it was, or was never saved. */
  | "fd-missing"
  | "fd-kind"
  /** A blocker forbids the mode. */
  | "blocked"
  | "parameter"
  | "channel"
  /** The program that is to replace this one cannot be run. */
  | "exec-target"
  /** Not possible in the present state of the migration or of the guest. */
  | "busy"
  /** A notifier vetoed. */
  | "notifier"
  | "preflight"
  | "keeper"
  /** Somebody else runs the guest now; this process must not. */
  | "commit-lost"
  | "cancelled"
  | "save"
  /** RAM of the saved state and of this machine are not the same. */
  | "ram"
  | "transfer"
  /** Taking steps back failed; the message lists each of them. */
  | "undo";

/** An error of live update, with a one-line message: what was being done to what, what went wrong, what helps. */
export class CprError extends Error {
  readonly code: CprErrorCode;

  constructor(code: CprErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CprError";
    this.code = code;
  }
}

/** The one-line message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] || "no reason was given";
}
