/** QMP's error classes (`QapiErrorClass` in qapi/error.json). */
export type QmpErrorClass =
  | "GenericError"
  | "CommandNotFound"
  | "DeviceNotActive"
  | "DeviceNotFound"
  | "KVMMissingCap";

/** An error that a client is told, or was told. Its message is QMP's `desc`. */
export class QmpError extends Error {
  readonly class: QmpErrorClass;

  constructor(message: string, errorClass: QmpErrorClass = "GenericError", options?: ErrorOptions) {
    super(message, options);
    this.name = "QmpError";
    this.class = errorClass;
  }
}

/** QMP's own form of whatever was thrown. Most errors are told by their one-line message alone. */
export function errorReply(error: unknown): { class: QmpErrorClass; desc: string } {
  if (error instanceof QmpError) return { class: error.class, desc: error.message };
  const desc = error instanceof Error ? error.message : String(error);
  return { class: "GenericError", desc };
}
