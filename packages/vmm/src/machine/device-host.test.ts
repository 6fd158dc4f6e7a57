import { expect, test } from "bun:test";
import { struct, u32 } from "@vmm/libc";
import type { VmConfig } from "../config/vm-config.ts";
import { registerDriver } from "../device/registry.ts";
import { ControlBlock } from "./control-block.ts";
import { DeviceHost } from "./device-host.ts";
import { loadDeviceState, saveArena } from "./machine-state.ts";
import { rehearsedHost } from "./rehearsed-host.ts";

const ResetCounter = struct("reset-counter", { value: u32 });
const SCHEMA = { kind: "reset-counter", version: 1, compat: 1, layout: ResetCounter };
const POWER_ON = 7;

let resets = 0;
registerDriver({
  name: "reset-counter",
  create({ arena }, { id }) {
    const state = arena.record(id, SCHEMA);
    return {
      id,
      reset() {
        resets++;
        state.value = POWER_ON;
      },
    };
  },
});

const config: VmConfig = {
  name: "devices",
  folder: "",
  memory: { id: "ram0", backend: "memfd", size: 16 << 20, share: true, prealloc: false },
  cpus: 1,
  accel: ["kvm"],
  machine: { auxRamShare: true },
  boot: { guest: "heartbeat" },
  chardevs: [{ id: "serial0", backend: "null" }],
  devices: [{ driver: "reset-counter", id: "counter0" }],
  plugins: [],
};

const newHost = () =>
  new DeviceHost({
    role: "main",
    config,
    control: new ControlBlock(),
    setIrqLevel() {},
    requested() {},
  });

const valueIn = (host: DeviceHost): number | undefined => {
  const saved = saveArena(host.arena).find(({ name }) => name === "counter0");
  return saved && ResetCounter.at(saved.data.buffer, saved.data.byteOffset).value;
};

test("devices are reset right before records are loaded, or once ahead of that", () => {
  const host = newHost();
  const records = saveArena(newHost().arena).map((record) => ({ ...record, data: record.data.slice() }));
  resets = 0;
  loadDeviceState(host, records);
  loadDeviceState(host, records);
  expect(resets).toBe(2);
  host.prepareLoad();
  loadDeviceState(host, records);
  expect(resets).toBe(3);
  // what was prepared is good for one load
  loadDeviceState(host, records);
  expect(resets).toBe(4);
});

test("what a state lacks keeps its reset value, also where devices were reset ahead", () => {
  const host = newHost();
  host.prepareLoad();
  expect(loadDeviceState(host, [])).toContain(
    '"counter0" is not in the saved state: it keeps its reset value',
  );
  expect(valueIn(host)).toBe(POWER_ON);
});

test("a rehearsal has the devices of every machine, and none of its own", () => {
  const host = rehearsedHost(config, "main");
  resets = 0;
  host.reset();
  expect(resets).toBe(0);
  expect(host.devices.map(({ id }) => id)).toEqual(host.chipset.devices.map(({ id }) => id));
  expect([...host.rings.keys()]).toEqual(["serial0"]);
});
