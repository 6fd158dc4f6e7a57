/**
 * What holds for every device, checked with wild accesses: its state is in the arena, all of it and nothing else, so that
 * it can be saved, loaded, and served by any thread.
 */
import { describe, expect, test } from "bun:test";
import { loadRecord, type SavedRecord } from "@vmm/cpr";
import fc from "fast-check";
import type { Device, DeviceContext } from "../src/device/device.ts";
import { DeviceBench } from "./device-bench.ts";

type Step =
  | { kind: "read"; at: number; size: number }
  | { kind: "write"; at: number; size: number; value: number }
  | { kind: "advance"; ns: number }
  | { kind: "type"; bytes: number[] }
  | { kind: "room"; count: number };

const size = fc.constantFrom(1, 1, 1, 2, 4);
const value = fc.oneof(fc.nat(0xff), fc.constantFrom(0x80, 0x83, 0x10, 0x1f, 0x60, 0x26), fc.nat(0x7fffffff));
const at = fc.nat(0xffff);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const), at, size }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("write" as const), at, size, value }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("advance" as const),
      ns: fc.constantFrom(1, 1000, 123_456, 10_000_000, 400_000_000, 1_000_000_000, 90_000_000_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("type" as const),
      bytes: fc.array(fc.nat(255), { maxLength: 20 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("room" as const), count: fc.nat(20) }) },
);
const steps = fc.array(step, { maxLength: 60 });

/** All that a guest or a user could see of a step. */
type Observation = unknown;

function perform(bench: DeviceBench, main: DeviceBench, one: Step): Observation {
  const ports = bench.pio.ranges().flatMap((r) => Array.from({ length: r.size }, (_, i) => r.base + i));
  const result = bench.lock.with(() => {
    if (one.kind === "read") return bench.pio.read(ports[one.at % ports.length] as number, one.size);
    if (one.kind === "write") bench.pio.write(ports[one.at % ports.length] as number, one.size, one.value);
    return undefined;
  });
  if (one.kind === "advance") main.advance(one.ns);
  if (one.kind === "type") for (const port of main.ports.values()) port.type(...one.bytes);
  if (one.kind === "room") for (const port of main.ports.values()) port.setRoom(one.count);
  const sent = [...main.ports.values()].map((port) => port.sent.length);
  return [
    result,
    main.requests.length,
    main.edges.length,
    sent,
    [...main.lines.values()].map((l) => l.level),
  ];
}

function save(bench: DeviceBench): SavedRecord[] {
  return bench.arena.records().map((record) => ({
    name: record.name,
    kind: record.schema.kind,
    version: record.schema.version,
    compat: record.schema.compat,
    fields: record.schema.layout.fields,
    data: bench.arena.bytesOf(record).slice(),
  }));
}

function load(bench: DeviceBench, saved: readonly SavedRecord[]): void {
  for (const record of bench.arena.records()) {
    const source = saved.find(({ name }) => name === record.name);
    if (!source) throw new Error(`no record ${record.name}`);
    loadRecord(source, record.schema, bench.arena.bytesOf(record));
  }
}

interface Built {
  readonly bench: DeviceBench;
  readonly device: Device;
}

type Build = (context: DeviceContext) => Device;

function powerOn(build: Build): Built {
  const bench = new DeviceBench();
  const device = build(bench);
  bench.lock.with(() => {
    device.reset?.();
    device.start?.();
    device.resume?.();
  });
  return { bench, device };
}

function pauseAndSave({ bench, device }: Built): SavedRecord[] {
  return bench.lock.with(() => {
    device.pause?.();
    device.save?.();
    return save(bench);
  });
}

/** A fresh device that continues from the saved state of another, still paused. */
function restore(build: Build, from: Built, saved: readonly SavedRecord[]): Built {
  const bench = new DeviceBench();
  bench.setTimeOf(from.bench);
  const device = build(bench);
  bench.lock.with(() => {
    device.reset?.();
    load(bench, saved);
    device.start?.();
    device.postLoad?.();
  });
  return { bench, device };
}

/** Declares the tests that every device must pass. */
export function describeConformance(name: string, build: Build): void {
  describe(`${name} as a device`, () => {
    test("saves, loads into a fresh device, and saves the same again", () => {
      fc.assert(
        fc.property(steps, (before) => {
          const first = powerOn(build);
          for (const one of before) perform(first.bench, first.bench, one);
          const saved = pauseAndSave(first);
          expect(pauseAndSave(restore(build, first, saved))).toEqual(saved);
        }),
      );
    });

    test("goes on after a load as if nothing had happened", () => {
      fc.assert(
        fc.property(steps, steps, (before, after) => {
          const first = powerOn(build);
          for (const one of before) perform(first.bench, first.bench, one);
          const second = restore(build, first, pauseAndSave(first));
          for (const { bench, device } of [first, second]) {
            bench.lock.with(() => device.resume?.());
            bench.edges.length = 0;
            bench.requests.length = 0;
            for (const port of bench.ports.values()) port.sent.length = 0;
          }
          const seen = after.map((one) => perform(first.bench, first.bench, one));
          expect(after.map((one) => perform(second.bench, second.bench, one))).toEqual(seen);
          expect(save(second.bench)).toEqual(save(first.bench));
        }),
      );
    });

    test("is the same device to every thread", () => {
      fc.assert(
        fc.property(steps, (all) => {
          const alone = powerOn(build);
          const main = powerOn(build);
          const vcpu = new DeviceBench(main.bench);
          build(vcpu);
          expect(vcpu.arena.digest()).toBe(main.bench.arena.digest());
          const seen = all.map((one) => perform(alone.bench, alone.bench, one));
          const turns = all.map((one, i) => perform(i % 2 ? vcpu : main.bench, main.bench, one));
          expect(turns).toEqual(seen);
        }),
      );
    });
  });
}
