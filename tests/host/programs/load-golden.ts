/**
 * Loads a golden state into a real machine, saves it again, and prints what came of it, as JSON.
 *
 * Usage: bun load-golden.ts NAME FOLDER
 */
import { FdTable, type SavedRecord } from "@vmm/cpr";
import { describeRecord } from "@vmm/cpr/describe";
import { blockKickSignal } from "@vmm/vmm/accel/kvm/index.ts";
import { Machine } from "@vmm/vmm/machine/machine.ts";
import { isAccelRecord } from "@vmm/vmm/machine/machine-state.ts";
import { holdEndSignals } from "@vmm/vmm/process/end-signals.ts";
import { readGolden } from "../../golden/golden-files.ts";

/** What depends on the processor that the state was saved on: this host's own takes its place. */
const OF_THE_HOST = new Set(["kvm-cpuid", "kvm-msrs", "kvm-xsave", "kvm-xcrs", "kvm-tsc"]);

const [name = "", folder = ""] = process.argv.slice(2);
blockKickSignal();
holdEndSignals();

const { config, state } = readGolden(name);
const machine = new Machine({ ...config, folder }, new FdTable());
const own = new Map(machine.save().map((record) => [record.name, record]));

/** The golden state, as a host with this host's processor would have saved it. */
function forThisHost(record: SavedRecord): SavedRecord {
  return OF_THE_HOST.has(record.kind) ? (own.get(record.name) ?? record) : record;
}

machine.load(state.records.map(forThisHost), { elapsedNs: 0, sameBoot: true });

/** Each record's fields as text, so that two states can be compared in JSON. */
function values(records: readonly SavedRecord[], isWanted: (record: SavedRecord) => boolean) {
  const text = (record: SavedRecord) =>
    Bun.inspect(describeRecord(record).fields, { depth: 10, sorted: true });
  return Object.fromEntries(records.filter(isWanted).map((record) => [record.name, text(record)]));
}

const UNCHANGED = ["kvm-regs", "kvm-mp-state", "kvm-ioapic", "kvm-pic-master", "kvm-pic-slave"];

/** What has to be in the machine as it was saved: all of a device whose record looks the same in the present version. */
function isKept(record: SavedRecord): boolean {
  if (isAccelRecord(record)) return UNCHANGED.includes(record.kind);
  const present = machine.host.arena.records().find((mine) => mine.name === record.name);
  return present?.schema.version === record.version;
}

console.log(
  JSON.stringify({
    warnings: machine.warnings,
    saved: values(state.records, isKept),
    again: values(machine.save(), isKept),
    output: Buffer.from(machine.host.rings.get("serial0")?.history() ?? []).toString("latin1"),
  }),
);
process.exit(0);
