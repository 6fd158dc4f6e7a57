/** A saved state as lines of at most 80 columns. */
import type { DecodedState, JsonObject, StateHeader } from "@vmm/cpr";
import { describeRecord } from "@vmm/cpr/describe";
import { formatDuration, formatWallClock } from "../format/time.ts";
import { STATE_BOOK } from "../kinds/book.ts";
import { nameRows } from "./layout.ts";
import { recordLines } from "./record.ts";

function machineText(machine: JsonObject): string {
  return Object.entries(machine)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

function headerLines(header: StateHeader, records: number, size: number): string[] {
  const { writer, mode, running, machine, bootId } = header;
  const upFor = formatDuration(header.stoppedBoottimeNs);
  return [
    `Saved state: ${records} ${records === 1 ? "record" : "records"}, ${size} bytes`,
    ...nameRows([
      ["writer", writer],
      ["mode", mode],
      ["guest", running ? "ran, and is to run again" : "was paused, and is to stay so"],
      ["stopped", `${formatWallClock(header.stoppedRealtimeNs)}, ${upFor} after the host's boot`],
      ["boot id", bootId],
      ["machine", machineText(machine) || "nothing is said of it"],
    ]),
  ];
}

/**
 * @param size Of the whole in bytes.
 * @param full Show every byte and every field.
 */
export function stateLines({ header, records }: DecodedState, size: number, full: boolean): string[] {
  return [
    ...headerLines(header, records.length, size),
    ...records.flatMap((record) => ["", ...recordLines(describeRecord(record, STATE_BOOK), full)]),
  ];
}
