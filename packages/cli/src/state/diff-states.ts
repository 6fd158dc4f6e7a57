/** How two saved states differ, header and records. */
import type { DecodedState, Json, StateHeader } from "@vmm/cpr";
import { describeRecords, diffRecords, type RecordsDiff } from "@vmm/cpr/describe";
import { formatDuration, formatWallClock } from "./format/time.ts";
import { STATE_BOOK } from "./kinds/book.ts";
import type { RamChange } from "./ram.ts";

/** As text, an absent side as `nothing`. */
export interface HeaderChange {
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

export interface StatesDiff {
  readonly equal: boolean;
  readonly header: readonly HeaderChange[];
  readonly records: RecordsDiff;
  readonly ram: readonly RamChange[];
}

const TIMES: Readonly<Record<string, (ns: number) => string>> = {
  stoppedMonotonicNs: formatDuration,
  stoppedBoottimeNs: formatDuration,
  stoppedRealtimeNs: formatWallClock,
};

function text(name: string, value: Json | undefined): string {
  if (value === undefined) return "nothing";
  const time = TIMES[name];
  if (time && typeof value === "number") return time(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The entries of an object and those of the objects in it, by their paths. */
function entries(object: object, prefix = ""): [string, Json][] {
  return Object.entries(object).flatMap(([name, value]): [string, Json][] => {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? entries(value, `${prefix}${name}.`) : [[prefix + name, value]];
  });
}

function diffHeaders(before: StateHeader, after: StateHeader): HeaderChange[] {
  const [a, b] = [new Map(entries(before)), new Map(entries(after))];
  const names = [...new Set([...a.keys(), ...b.keys()])];
  return names
    .filter((name) => JSON.stringify(a.get(name)) !== JSON.stringify(b.get(name)))
    .map((name) => {
      const [before, after] = [text(name, a.get(name)), text(name, b.get(name))];
      // times may differ by less than people are told
      if (before === after) return { name, before: String(a.get(name)), after: String(b.get(name)) };
      return { name, before, after };
    });
}

/** @param ram How the RAM in the two files differs. */
export function diffStates(
  before: DecodedState,
  after: DecodedState,
  ram: readonly RamChange[] = [],
): StatesDiff {
  const describe = ({ records }: DecodedState) => describeRecords(records, STATE_BOOK);
  const header = diffHeaders(before.header, after.header);
  const records = diffRecords(describe(before), describe(after));
  const { added, removed, changed } = records;
  const differences = [header, added, removed, changed, ram].reduce((sum, { length }) => sum + length, 0);
  return { equal: differences === 0, header, records, ram };
}
