/** The envelope of a QMP request: what it may hold around the command's own arguments. */
import type { JsonObject, JsonValue } from "./json/index.ts";
import { QmpError } from "./qmp-error.ts";

export interface QmpRequest {
  readonly command: string;
  /** Asked for by `exec-oob`: out of band. */
  readonly oob: boolean;
  readonly args: JsonObject;
}

export const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const fault = (member: string, what: string) => new QmpError(`QMP input member '${member}' ${what}`);

/**
 * @param oobEnabled Whether the client negotiated out-of-band execution: only then `exec-oob` means anything.
 * @throws QmpError where it is not a request.
 */
export function readRequest(value: JsonValue, oobEnabled: boolean): QmpRequest {
  if (!isObject(value)) throw new QmpError("QMP input must be a JSON object");
  const oob = oobEnabled && "exec-oob" in value;
  for (const [member, content] of Object.entries(value)) {
    if (member === "id") continue;
    if (member === "execute" || (member === "exec-oob" && oobEnabled)) {
      if (typeof content !== "string") throw fault(member, "must be a string");
    } else if (member === "arguments") {
      if (!isObject(content)) throw fault(member, "must be an object");
    } else throw fault(member, "is unexpected");
  }
  if (oob && "execute" in value) throw fault("execute", "clashes with 'exec-oob'");
  const command = oob ? value["exec-oob"] : value.execute;
  if (command === undefined) throw new QmpError("QMP input lacks member 'execute'");
  return { command: command as string, oob, args: (value.arguments ?? {}) as JsonObject };
}
