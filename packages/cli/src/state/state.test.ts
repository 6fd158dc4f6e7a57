import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeState, encodeState, type SavedRecord, type StateHeader } from "@vmm/cpr";
import { array, bytes, struct, u8, u16, u64 } from "@vmm/libc";
import { differenceLines, stateDifferences } from "./diff.ts";
import { fieldValue, shownValue } from "./field-values.ts";
import { readState } from "./read-state.ts";
import { stateJson, stateLines } from "./show.ts";

const header: StateHeader = {
  writer: "0.1.0",
  mode: "cpr-exec",
  running: true,
  stoppedMonotonicNs: 1,
  stoppedBoottimeNs: 1,
  stoppedRealtimeNs: Date.UTC(2026, 0, 2) * 1e6,
  bootId: "x",
  machine: { name: "web", cpus: 1 },
};

const Uart = struct("uart", { ier: u8, divisor: u16, clock: u64, fifo: bytes(4), words: array(u16, 3) });

function uart(values: Parameters<typeof Uart.of>[0], more: Partial<SavedRecord> = {}): SavedRecord {
  const data = Uart.of(values).$bytes;
  return { name: "serial0", kind: "uart-16550", version: 2, compat: 1, fields: Uart.fields, data, ...more };
}

const stateOf = (...records: SavedRecord[]) => decodeState(encodeState(header, records));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-state-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a state is shown with its header and every field of every record", () => {
  const text = stateLines(
    stateOf(uart({ ier: 5, divisor: 0x1234, clock: 2n ** 60n, fifo: Uint8Array.of(1, 2) })),
  ).join("\n");
  expect(text).toContain("written by  vmm 0.1.0, mode cpr-exec");
  expect(text).toContain('machine     name "web", cpus 1');
  expect(text).toContain("stopped     2026-01-02T00:00:00.000Z; the guest ran");
  expect(text).toContain("serial0: uart-16550 version 2, loads from version 1 on");
  expect(text).toMatch(/^ {2}ier +5$/m);
  expect(text).toMatch(/^ {2}divisor +0x1234$/m);
  expect(text).toMatch(/^ {2}clock +0x1000000000000000$/m);
  expect(text).toMatch(/^ {2}fifo +01020000$/m);
  expect(text).toMatch(/^ {2}words +0 0 0$/m);
});

test("JSON has 64-bit numbers as text and bytes as hex, so that nothing is lost", () => {
  const { records } = stateJson(stateOf(uart({ clock: 2n ** 60n + 1n, fifo: Uint8Array.of(255) })));
  expect(records[0]?.fields).toMatchObject({
    clock: "1152921504606846977",
    fifo: "ff000000",
    words: [0, 0, 0],
  });
});

test("long bytes are cut to the width, and a type that nobody knows is shown as bytes", () => {
  const long = new Uint8Array(1000).fill(7);
  expect(shownValue(long, 60)).toHaveLength(22 * 2 + 2 + "1000 bytes".length);
  expect(shownValue(new Uint8Array(512), 60)).toBe("512 bytes of 0");
  const strange = { name: "x", type: "kvm_regs", offset: 0, size: 2 };
  expect(fieldValue({ ...uart({ ier: 9 }), fields: [strange] }, strange)).toEqual(Uint8Array.of(9, 0));
});

test("two states differ in fields, versions and records, and the same state in nothing", () => {
  const a = stateOf(uart({ ier: 1, divisor: 3 }), uart({}, { name: "gone" }));
  const b = stateOf(uart({ ier: 2, divisor: 3 }, { version: 3 }), uart({}, { name: "new" }));
  expect(differenceLines(stateDifferences(a, b))).toEqual([
    "serial0",
    "  < uart-16550 version 2",
    "  > uart-16550 version 3",
    "serial0.ier",
    "  < 1",
    "  > 2",
    "gone",
    "  < uart-16550 version 2",
    "  > -",
    "new",
    "  < -",
    "  > uart-16550 version 2",
  ]);
  expect(stateDifferences(a, a)).toEqual([]);
});

test("a file that is missing, not a state, cut short or changed is refused by its name", () => {
  const path = join(folder, "state");
  expect(() => readState(path)).toThrow(`${path}: there is no such file`);
  writeFileSync(path, "not a state");
  expect(() => readState(path)).toThrow(`${path}: `);
  const whole = encodeState(header, [uart({})]);
  writeFileSync(path, whole.subarray(0, whole.length - 1));
  expect(() => readState(path)).toThrow(`${path}: `);
  whole[whole.length - 1] = (whole.at(-1) as number) ^ 1;
  writeFileSync(path, whole);
  expect(() => readState(path)).toThrow(`${path}: `);
});
