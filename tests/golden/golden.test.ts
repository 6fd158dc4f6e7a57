import { describe, expect, test } from "bun:test";
import {
  type DecodedState,
  decodeState,
  encodeState,
  loadRecord,
  matchRecords,
  type SavedRecord,
} from "@vmm/cpr";
import { describeRecord, walkRam } from "@vmm/cpr/describe";
import { vcpuReads } from "@vmm/vmm/accel/kvm/vcpu-state.ts";
import { vmReads } from "@vmm/vmm/accel/kvm/vm-state.ts";
import { UART_16550_SCHEMA } from "@vmm/vmm/chipset/uart-16550-registers.ts";
import { ControlBlock } from "@vmm/vmm/machine/control-block.ts";
import { DeviceHost } from "@vmm/vmm/machine/device-host.ts";
import { isAccelRecord, saveArena } from "@vmm/vmm/machine/machine-state.ts";
import { VERSION } from "@vmm/vmm/version.ts";
import { type GoldenFile, goldenNames, readGolden } from "./golden-files.ts";

/** The devices that a VM of this configuration has in the present version. */
function presentDevices({ config }: GoldenFile): DeviceHost {
  return new DeviceHost({
    role: "main",
    config,
    control: new ControlBlock(),
    setIrqLevel: () => {},
    requested: () => {},
  });
}

/** Loads a state's devices by the rules, as an update does. @returns The warnings. */
function loadDevices(host: DeviceHost, { records }: DecodedState): readonly string[] {
  const devices = records.filter((record) => !isAccelRecord(record));
  const { pairs, warnings } = matchRecords(devices, host.arena.records());
  for (const { saved, present } of pairs) loadRecord(saved, present.schema, host.arena.bytesOf(present));
  return warnings;
}

const valuesOf = (record: SavedRecord) =>
  new Map(describeRecord(record).fields.map(({ name, value }) => [name, value]));

test("the present version has golden files of its own", () => {
  expect(goldenNames()).toContain(`${VERSION}/heartbeat-1cpu`);
  expect(goldenNames()).toContain(`${VERSION}/heartbeat-2cpu`);
});

describe.each(goldenNames())("the state %s", (name) => {
  const golden = readGolden(name);
  const { state, version, config } = golden;

  test("was saved by that version, from a guest that ran", () => {
    const { writer, running, machine } = state.header;
    expect({ writer, running, cpus: machine.cpus }).toEqual({
      writer: version,
      running: true,
      cpus: config.cpus,
    });
  });

  test("loads into the present devices, and they have all of what was saved", () => {
    const host = presentDevices(golden);
    const warnings = loadDevices(host, state);
    if (version === VERSION) expect(warnings).toEqual([]);
    const loaded = new Map(saveArena(host.arena).map((record) => [record.name, record]));
    for (const record of state.records.filter((saved) => !isAccelRecord(saved))) {
      const present = loaded.get(record.name);
      if (present?.version !== record.version) continue;
      expect([record.name, valuesOf(present)]).toEqual([record.name, valuesOf(record)]);
    }
  });

  test("has the guest's output up to the middle of a line", () => {
    const host = presentDevices(golden);
    loadDevices(host, state);
    const text = Buffer.from(host.rings.get("serial0")?.history() ?? []).toString("latin1");
    expect(text).toMatch(/^tick 0 count 00000000 secret [0-9a-f]{8}\r\ntick 1 count /);
    expect(text).not.toEndWith("\n");
  });

  test("has the guest's RAM behind it, all of it", () => {
    const { header } = state;
    const source = {
      size: golden.bytes.length,
      read(offset: number, into: Uint8Array) {
        const part = golden.bytes.subarray(offset, offset + into.length);
        into.set(part);
        return part.length;
      },
    };
    const runs = [...walkRam(source, golden.ramAt, header.ram?.length ?? 0)];
    expect(new Set(runs.map(({ block }) => block)).size).toBe(header.ram?.length as number);
    for (const { at, length, crc } of runs) {
      expect(Bun.hash.crc32(golden.bytes.subarray(at, at + length))).toBe(crc);
    }
  });

  test("has KVM's structures in the sizes that the present version loads", () => {
    const features = {
      msrs: [],
      xsaveSize: 4096,
      xsave2: false,
      nestedSize: 0,
      xcrs: true,
      tsc: { khz: 0, offset: false },
    };
    const cpus = Array.from({ length: config.cpus }, (_, i) =>
      vcpuReads(`cpu${i}`, features).preview(),
    ).flat();
    const saved = new Map(state.records.map((record) => [record.name, record]));
    for (const { name: wanted, fields, data } of [...cpus, ...vmReads().records()]) {
      const record = saved.get(wanted);
      expect([wanted, record !== undefined]).toEqual([wanted, true]);
      // what is opaque has the size that the host's features give it
      if (fields[0]?.name === "data") continue;
      expect([wanted, record?.data.length, record?.version]).toEqual([wanted, data.length, 1]);
    }
  });
});

// The present version stands for an older one here, and a golden state that was changed for one of a newer version.
describe("a state that a newer version saved", () => {
  const golden = readGolden(`${VERSION}/heartbeat-1cpu`);
  const UART = "uart-serial0";
  const OURS = UART_16550_SCHEMA.version;

  /** The golden state with one record as a newer version would write it. */
  function newer(change: (record: SavedRecord) => SavedRecord): DecodedState {
    const records = golden.state.records.map((record) => (record.name === UART ? change(record) : record));
    return decodeState(encodeState(golden.state.header, records));
  }

  /** A record with a field behind its others. */
  function withField(record: SavedRecord, more: Partial<SavedRecord>): SavedRecord {
    const { length } = record.data;
    const data = new Uint8Array(length + 4);
    data.set(record.data);
    data.fill(0xee, length);
    const fields = [...record.fields, { name: "baudBase", type: "u32", offset: length, size: 4 }];
    return { ...record, fields, data, ...more };
  }

  const load = (state: DecodedState) => {
    const host = presentDevices(golden);
    return { warnings: loadDevices(host, state), host };
  };
  const uartOf = (records: readonly SavedRecord[]) =>
    valuesOf(records.find(({ name }) => name === UART) as SavedRecord);

  test("loads where the record says that this version can, without what is unknown", () => {
    const { warnings, host } = load(newer((record) => withField(record, { version: record.version + 1 })));
    expect(warnings).toEqual([]);
    expect(uartOf(saveArena(host.arena))).toEqual(uartOf(golden.state.records));
  });

  test("is refused where the record says that this version is too old", () => {
    const state = newer((record) =>
      withField(record, { version: record.version + 2, compat: record.version + 1 }),
    );
    expect(() => load(state)).toThrow(
      `saved record "${UART}" (uart-16550 version ${OURS + 2}): ` +
        `this version knows ${OURS} and version ${OURS + 1} is the oldest that can load it`,
    );
  });

  test("is refused where it has an unknown field under the number of this version", () => {
    expect(() => load(newer((record) => withField(record, {})))).toThrow(
      'field "baudBase" is unknown to this version, which has the same number',
    );
  });

  test("is refused where a field that this version needs is gone, whatever it says", () => {
    const without = (record: SavedRecord) => ({
      ...record,
      version: OURS + 1,
      fields: record.fields.filter(({ name }) => name !== "lcr"),
    });
    expect(() => load(newer(without))).toThrow('field "lcr" is missing');
  });

  test("is refused where a field became wider than this version can hold", () => {
    const wider = (record: SavedRecord) => ({
      ...record,
      version: OURS + 1,
      fields: record.fields.map((field) =>
        field.name === "ier" ? { ...field, type: "u16", offset: record.data.length, size: 2 } : field,
      ),
      data: Buffer.concat([record.data, new Uint8Array(2)]),
    });
    expect(() => load(newer(wider))).toThrow('field "ier" is u16 and this version has u8');
  });

  test("is refused where it has a device that this version does not", () => {
    const hpet = { name: "hpet0", kind: "hpet", version: 1, compat: 1, fields: [], data: new Uint8Array(8) };
    const state = decodeState(encodeState(golden.state.header, [...golden.state.records, hpet]));
    expect(() => load(state)).toThrow(
      'saved record "hpet0" (hpet version 1): there is no such device in this machine',
    );
  });

  test("loads with a warning where it lacks a device that this version has", () => {
    const records = golden.state.records.filter(({ name }) => name !== "port92");
    const { warnings } = load(decodeState(encodeState(golden.state.header, records)));
    expect(warnings).toEqual(['"port92" is not in the saved state: it keeps its reset value']);
  });
});
