/** What went wrong, as a closed set that programs can test for. */
export type VmmErrorCode =
  | "arena-name"
  | "arena-full"
  | "bus-overlap"
  | "bus-range"
  | "config"
  | "kernel-image"
  | "memory-backend"
  | "accel"
  | "device"
  | "chardev"
  | "run-state"
  | "state";

/** An error of the machine, with a one-line message that says what was being done, what went wrong and what helps. */
export class VmmError extends Error {
  readonly code: VmmErrorCode;

  constructor(code: VmmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "VmmError";
    this.code = code;
  }
}
