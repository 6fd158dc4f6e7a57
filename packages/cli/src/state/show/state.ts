/** A saved state as lines of at most 80 columns. */
import type { DecodedState, Json, JsonObject, StateHeader } from "@vmm/cpr";
import { describeRecords } from "@vmm/cpr/describe";
import { plain } from "../../command/text.ts";
import { formatDuration, formatWallClock } from "../format/time.ts";
import { STATE_BOOK } from "../kinds/book.ts";
import type { RamSummary } from "../ram.ts";
import { nameRows } from "./layout.ts";
import { recordLines } from "./record.ts";

/** JSON with spaces where lines may be broken. */
const spaced = (value: Json) => JSON.stringify(value, null, 1).replace(/\n\s*/g, " ");

function machineText({ config: _, ...machine }: JsonObject): string {
  return Object.entries(machine)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : spaced(value)}`)
    .join(", ");
}

/** A configuration has its paths no deeper than this. */
const MAX_DEPTH = 4;

function pathsIn(value: Json | undefined, depth = 0): string[] {
  if (typeof value === "string") return value.startsWith("/") ? [value] : [];
  if (typeof value !== "object" || value === null || depth === MAX_DEPTH) return [];
  return Object.values(value).flatMap((part) => pathsIn(part, depth + 1));
}

/** What the VM ran and used of its host, which is what a restore would have it use here. */
function hostRows(config: Json | undefined): (readonly [string, string])[] {
  if (typeof config !== "object" || config === null) return [];
  const { plugins, folder: _, ...others } = config as JsonObject;
  const rows = [
    ["plug-ins", Array.isArray(plugins) ? plugins.map(spaced) : []],
    ["files", pathsIn(others)],
  ] as const;
  return rows.filter(([, list]) => list.length > 0).map(([name, list]) => [name, list.join(", ")]);
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
      ...hostRows(machine.config),
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
    ...describeRecords(records, STATE_BOOK).flatMap((record) => ["", ...recordLines(record, full)]),
  ];
}
