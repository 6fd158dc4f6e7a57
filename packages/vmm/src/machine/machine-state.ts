/** The machine's state as records: the arena's, one per device, and the accelerator's. */
import type { SavedRecord } from "@vmm/cpr";
import { faultPoint, loadRecord, matchRecords } from "@vmm/cpr/incoming";
import type { RestoreTime } from "../accel/accelerator.ts";
import type { StateArena } from "../arena/state-arena.ts";
import type { DeviceHost } from "./device-host.ts";
import type { Machine } from "./machine.ts";

/** Names of records that belong to the accelerator, not to the arena. */
export const isAccelRecord = (record: SavedRecord): boolean => record.kind.startsWith("kvm-");

/** The arena's records. Their data are in place: who wants to keep them copies them before the guest runs on. */
export function saveArena(arena: StateArena): SavedRecord[] {
  return arena.records().map((record) => ({
    name: record.name,
    kind: record.schema.kind,
    version: record.schema.version,
    compat: record.schema.compat,
    fields: record.schema.layout.fields,
    data: arena.bytesOf(record),
  }));
}

/** @param accel The accelerator's records, where they are not to be read from the VM. */
export function saveMachineState(machine: Machine, accel?: readonly SavedRecord[]): SavedRecord[] {
  for (const device of machine.host.devices) device.save?.();
  // KVM first: saving a vCPU can still raise what a device then sees
  const vm = accel ?? machine.vm.save();
  return [...saveArena(machine.host.arena), ...vm];
}

/** Records of the names, kinds and sizes that `saveMachineState` gives, while the guest runs: contents may be torn. */
export function previewMachineState(machine: Machine): SavedRecord[] {
  return [...saveArena(machine.host.arena), ...machine.vm.preview()];
}

/** Loads the devices' state. @returns Warnings, one line each: state that took its reset value. */
export function loadDeviceState(host: DeviceHost, records: readonly SavedRecord[]): readonly string[] {
  const { arena } = host;
  const { pairs, warnings } = matchRecords(
    records.filter((record) => !isAccelRecord(record)),
    arena.records(),
  );
  host.lock.with(() => {
    host.resetForLoad();
    for (const { saved, present } of pairs) {
      faultPoint("load-record");
      loadRecord(saved, present.schema, arena.bytesOf(present));
    }
  });
  return warnings;
}

/** What follows once the VM's state is loaded too: devices see to what their state means for the host. */
export function finishLoad(host: DeviceHost): void {
  host.lock.with(() => {
    for (const device of host.devices) device.postLoad?.();
    for (const line of host.lines) line.redrive();
  });
}

/** Loads devices, vCPUs and VM. @returns Warnings, as `loadDeviceState`. */
export function loadMachineState(
  machine: Machine,
  records: readonly SavedRecord[],
  time: RestoreTime,
): readonly string[] {
  const warnings = loadDeviceState(machine.host, records);
  faultPoint("restore-vm");
  machine.vm.restore(accelRecords(records), time);
  finishLoad(machine.host);
  return warnings;
}

export const recordsByName = (records: readonly SavedRecord[]): ReadonlyMap<string, SavedRecord> =>
  new Map(records.map((record) => [record.name, record]));

/** Those that belong to the accelerator, which refuses what it does not know. */
export const accelRecords = (records: readonly SavedRecord[]): ReadonlyMap<string, SavedRecord> =>
  recordsByName(records.filter(isAccelRecord));
