/** Why the lab gave no exit status of the command's own. */
export type LabErrorCode = "usage" | "unavailable" | "timeout" | "interrupted" | "died";

/** What the lab could not do; `details` is what the box said on its console before it ended. */
export class LabError extends Error {
  override readonly name = "LabError";
  readonly code: LabErrorCode;
  readonly details: string;

  constructor(code: LabErrorCode, message: string, details = "") {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/**
 * The exit status of `bun run lab` where the command has none of its own to return: 77 is what test
 * harnesses take for "skipped", 124 what timeout(1) returns, 125 what container runners return when
 * the fault is their own.
 */
export const LAB_EXIT_STATUS: Readonly<Record<LabErrorCode, number>> = {
  usage: 2,
  unavailable: 77,
  timeout: 124,
  died: 125,
  interrupted: 130,
};
