/** The machine's state as records: the arena's, one per device, and the accelerator's. */
import type { SavedRecord } from "@vmm/cpr";
import { faultPoint, loadRecord, matchRecords } from "@vmm/cpr/incoming";
import type { RestoreTime } from "../accel/accelerator.ts";
import type { StateArena } from "../arena/state-arena.ts";
import type { Machine } from "./machine.ts";

/** Names of records that belong to the accelerator, not to the arena. */
export const isAccelRecord = (record: SavedRecord): boolean => record.kind.startsWith("kvm-");

/** The arena's records; the data are a copy, so that the guest may run on. */
export function saveArena(arena: StateArena): SavedRecord[] {
  return arena.records().map((record) => {
    faultPoint("save-record");
    return {
      name: record.name,
      kind: record.schema.kind,
      version: record.schema.version,
      compat: record.schema.compat,
      fields: record.schema.layout.fields,
      data: new Uint8Array(arena.bytesOf(record)),
    };
  });
}

export function saveMachineState(machine: Machine): SavedRecord[] {
  for (const device of machine.host.devices) device.save?.();
  // KVM first: saving a vCPU can still raise what a device then sees
  const accel = machine.vm.save();
  return [...saveArena(machine.host.arena), ...accel];
}

/** Records of the names, kinds and sizes that `saveMachineState` gives, while the guest runs: contents may be torn. */
export function previewMachineState(machine: Machine): SavedRecord[] {
  return [...saveArena(machine.host.arena), ...machine.vm.preview()];
}

/** @returns Warnings, one line each: state that took its reset value. */
export function loadMachineState(
  machine: Machine,
  records: readonly SavedRecord[],
  time: RestoreTime,
): readonly string[] {
  const { arena } = machine.host;
  const { pairs, warnings } = matchRecords(
    records.filter((record) => !isAccelRecord(record)),
    arena.records(),
  );
  machine.host.lock.with(() => {
    for (const device of machine.host.devices) device.reset?.();
    for (const { saved, present } of pairs) {
      faultPoint("load-record");
      loadRecord(saved, present.schema, arena.bytesOf(present));
    }
  });
  faultPoint("restore-vm");
  machine.vm.restore(new Map(records.map((record) => [record.name, record])), time);
  machine.host.lock.with(() => {
    for (const device of machine.host.devices) device.postLoad?.();
    for (const line of machine.host.lines) line.redrive();
  });
  return warnings;
}
