import { expect, test } from "bun:test";
import { DeviceBench } from "../../test/device-bench.ts";
import { ACPI_PM_BASE, SCI_GSI } from "./acpi-pm.ts";
import { createChipset } from "./chipset.ts";

const GIB = 2 ** 30;
const build = (bench: DeviceBench, serial = ["serial0"], ramSize = GIB) =>
  createChipset(bench, { ramSize, serial });

test("the chipset claims the ports of a PC, and none twice", () => {
  const bench = new DeviceBench();
  build(bench, ["serial0", "serial1", "serial2", "serial3"]);
  const ranges = bench.pio.ranges().map(({ base, size }) => [base.toString(16), size]);
  expect(ranges).toEqual([
    ["60", 1],
    ["64", 1],
    ["70", 2],
    ["92", 1],
    ["f4", 4],
    ["2e8", 8],
    ["2f8", 8],
    ["3e8", 8],
    ["3f8", 8],
    ["600", 12],
    ["cf9", 1],
  ]);
});

test("the chipset gives each device a name of its own", () => {
  const { devices } = build(new DeviceBench(), ["serial0", "serial1"]);
  const ids = devices.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

test("two threads build the chipset over the same records", () => {
  const main = new DeviceBench();
  const vcpu = new DeviceBench(main);
  build(main);
  build(vcpu);
  expect(vcpu.arena.digest()).toBe(main.arena.digest());
});

test("a machine has at most four serial ports", () => {
  expect(() => build(new DeviceBench(), ["a", "b", "c", "d", "e"])).toThrow(/"e".*at most four/);
});

test("the chipset tells the guest how much RAM lies on each side of 4 GiB", () => {
  const bench = new DeviceBench();
  for (const device of build(bench, [], 5 * GIB).devices) device.reset?.();
  const cell = (index: number) => {
    bench.out8(0x70, index);
    return bench.in8(0x71);
  };
  expect((cell(0x34) | (cell(0x35) << 8)) * 65536 + 16 * 2 ** 20).toBe(3 * GIB);
  expect((cell(0x5b) | (cell(0x5c) << 8) | (cell(0x5d) << 16)) * 65536).toBe(2 * GIB);
});

test("an alarm of the clock reaches ACPI", () => {
  const bench = new DeviceBench();
  for (const device of build(bench).devices) device.reset?.();
  bench.pio.write(ACPI_PM_BASE + 2, 2, 0x0400);
  for (const [index, value] of [
    [1, 0xff],
    [3, 0xff],
    [5, 0xff],
    [0x0b, 0x22],
  ] as const) {
    bench.out8(0x70, index);
    bench.out8(0x71, value);
  }
  bench.advance(1e9);
  expect([bench.level(8), bench.level(SCI_GSI)]).toEqual([1, 1]);
});
