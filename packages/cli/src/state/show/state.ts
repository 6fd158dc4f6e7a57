/** A saved state as lines of at most 80 columns. */
import type { DecodedState, Json, JsonObject, StateHeader } from "@vmm/cpr";
import { describeRecord } from "@vmm/cpr/describe";
import { formatDuration, formatWallClock } from "../format/time.ts";
import { STATE_BOOK } from "../kinds/book.ts";
import type { RamSummary } from "../ram.ts";
import { nameRows, plain } from "./layout.ts";
import { recordLines } from "./record.ts";

/** JSON with spaces where lines may be broken. */
const spaced = (value: Json) => JSON.stringify(value, null, 1).replace(/\n\s*/g, " ");

function machineText({ config: _, ...machine }: JsonObject): string {
  return Object.entries(machine)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : spaced(value)}`)
    .join(", ");
}

function ramRow({ name, size, pages, path }: RamSummary): [string, string] {
  const where =
    path === undefined
      ? `${pages} ${pages === 1 ? "page" : "pages"} of it in this file, the others are 0`
      : `in place in ${path}`;
  return [plain(name), `${size} bytes, ${where}`];
}

function ramLines(ram: readonly RamSummary[]): string[] {
  return ram.length === 0 ? [] : ["", "RAM", ...nameRows(ram.map(ramRow))];
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
      ...(machine.config === undefined ? [] : [["config", spaced(machine.config)] as const]),
    ]),
  ];
}

/**
 * @param size Of the state in bytes, without RAM.
 * @param full Show every byte and every field.
 */
export function stateLines(
  { header, records }: DecodedState,
  size: number,
  full: boolean,
  ram: readonly RamSummary[] = [],
): string[] {
  return [
    ...headerLines(header, records.length, size),
    ...ramLines(ram),
    ...records.flatMap((record) => ["", ...recordLines(describeRecord(record, STATE_BOOK), full)]),
  ];
}
