/** How two saved states differ, header and records. */
import type { DecodedState, Json, StateHeader } from "@vmm/cpr";
import { describeRecord, diffRecords, type RecordsDiff } from "@vmm/cpr/describe";
import { formatDuration, formatWallClock } from "./format/time.ts";
import { STATE_BOOK } from "./kinds/book.ts";

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

/** The header's entries, those of the machine among them. */
function entries({ machine, ...header }: StateHeader): ReadonlyMap<string, Json> {
  const inner = Object.entries(machine).map(([name, value]) => [`machine.${name}`, value] as const);
  return new Map<string, Json>([...Object.entries(header), ...inner]);
}

function diffHeaders(before: StateHeader, after: StateHeader): HeaderChange[] {
  const [a, b] = [entries(before), entries(after)];
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

export function diffStates(before: DecodedState, after: DecodedState): StatesDiff {
  const describe = ({ records }: DecodedState) => records.map((record) => describeRecord(record, STATE_BOOK));
  const header = diffHeaders(before.header, after.header);
  const records = diffRecords(describe(before), describe(after));
  const { added, removed, changed } = records;
  const equal = header.length + added.length + removed.length + changed.length === 0;
  return { equal, header, records };
}
