import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { device, eisaId, name } from "./aml.ts";
import { buildAcpiTables } from "./build-tables.ts";
import { acpiTable } from "./table.ts";

const BASE = 0xe0000;
const SIZE = 0x20000;
const COM1 = { base: 0x3f8, irq: 4 };

const sum = (bytes: Uint8Array) => bytes.reduce((total, value) => (total + value) & 0xff, 0);
const textAt = (bytes: Uint8Array, at: number, length: number) =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** Finds the tables as a guest does: from the RSDP on, by address. */
function walk(memory: Uint8Array, base = BASE) {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  const table = (address: number) => {
    const at = address - base;
    return {
      address,
      signature: textAt(memory, at, 4),
      bytes: memory.subarray(at, at + view.getUint32(at + 4, true)),
    };
  };
  const word = (bytes: Uint8Array, at: number) =>
    new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0, true);
  const xsdt = table(Number(view.getBigUint64(24, true)));
  const listed = Array.from({ length: (xsdt.bytes.length - 36) / 8 }, (_, i) =>
    table(word(xsdt.bytes, 36 + 8 * i)),
  );
  const fadt = listed.find(({ signature }) => signature === "FACP");
  if (!fadt) throw new Error("no FADT");
  const facs = table(word(fadt.bytes, 36));
  const dsdt = table(word(fadt.bytes, 40));
  return { rsdp: memory.subarray(0, 36), xsdt, listed, fadt, facs, dsdt, word };
}

const build = (cpus: number, more: object = {}) =>
  buildAcpiTables({ base: BASE, size: SIZE, cpus, serial: [COM1], ...more });

describe("the ACPI tables", () => {
  test("are found from the RSDP, with checksums that are right", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.constantFrom(BASE, 0x7fff0010), (cpus, base) => {
        const { rsdp, xsdt, listed, dsdt, facs } = walk(build(cpus, { base }), base);
        expect(textAt(rsdp, 0, 8)).toBe("RSD PTR ");
        expect([sum(rsdp.subarray(0, 20)), sum(rsdp), rsdp[15]]).toEqual([0, 0, 2]);
        expect([xsdt.signature, dsdt.signature, facs.signature]).toEqual(["XSDT", "DSDT", "FACS"]);
        expect(listed.map(({ signature }) => signature)).toEqual(["FACP", "APIC"]);
        for (const { bytes } of [xsdt, dsdt, ...listed]) expect(sum(bytes)).toBe(0);
        for (const { address } of [xsdt, dsdt, ...listed]) expect(address % 16).toBe(0);
        expect([facs.address % 64, facs.bytes.length]).toEqual([0, 64]);
      }),
      { numRuns: 30 },
    );
  });

  test("do not overlap", () => {
    const { xsdt, listed, dsdt, facs } = walk(build(64));
    const all = [{ address: BASE, bytes: new Uint8Array(36) }, xsdt, dsdt, facs, ...listed];
    const ranges = all.map(({ address, bytes }) => [address, address + bytes.length] as const);
    ranges.sort((a, b) => a[0] - b[0]);
    for (let i = 1; i < ranges.length; i++)
      expect(ranges[i]?.[0]).toBeGreaterThanOrEqual(ranges[i - 1]?.[1] ?? 0);
  });

  test("say in the FADT where the fixed hardware is", () => {
    const { fadt, facs, dsdt, word } = walk(build(1));
    expect(fadt.bytes.length).toBe(276);
    const view = new DataView(fadt.bytes.buffer, fadt.bytes.byteOffset);
    expect(view.getUint16(46, true)).toBe(9); // SCI
    expect([56, 64, 76].map((at) => word(fadt.bytes, at))).toEqual([0x600, 0x604, 0x608]);
    expect([88, 89, 91].map((at) => fadt.bytes[at])).toEqual([4, 2, 4]);
    expect(fadt.bytes[108]).toBe(0x32); // century
    expect(word(fadt.bytes, 112) & (1 << 20)).toBe(0); // not hardware-reduced
    expect([word(fadt.bytes, 120), fadt.bytes[128]]).toEqual([0xcf9, 6]); // reset
    expect([view.getBigUint64(132, true), view.getBigUint64(140, true)]).toEqual([
      BigInt(facs.address),
      BigInt(dsdt.address),
    ]);
  });

  /** The MADT's entries, as lists of bytes. */
  function madtEntries(cpus: number): number[][] {
    const madt = walk(build(cpus)).listed[1]?.bytes as Uint8Array;
    const entries: number[][] = [];
    for (let at = 44; at < madt.length; at += madt[at + 1] as number) {
      entries.push([...madt.subarray(at, at + (madt[at + 1] as number))]);
    }
    return entries;
  }

  test("list processors, IOAPIC, overrides and NMIs in the MADT", () => {
    expect(madtEntries(2)).toEqual([
      [0, 8, 0, 0, 1, 0, 0, 0],
      [0, 8, 1, 1, 1, 0, 0, 0],
      [1, 12, 2, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0],
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
      [4, 6, 0xff, 0, 0, 1],
    ]);
  });

  test("list processors from APIC id 255 on as x2APICs", () => {
    const entries = madtEntries(257);
    expect(entries.filter(([type]) => type === 0).length).toBe(255);
    expect(entries.filter(([type]) => type === 9)).toEqual([
      [9, 16, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 255, 0, 0, 0],
      [9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0],
    ]);
    expect(entries.at(-1)).toEqual([10, 12, 0, 0, 255, 255, 255, 255, 1, 0, 0, 0]);
  });

  test("take further tables and devices", () => {
    const bridge = device("PCI0", name("_HID", eisaId("PNP0A08")));
    const mcfg = acpiTable("MCFG", 1, new Uint8Array(24));
    const { listed, dsdt } = walk(build(1, { tables: [mcfg], devices: [bridge] }));
    expect(listed.map(({ signature }) => signature)).toEqual(["FACP", "APIC", "MCFG"]);
    expect(Buffer.from(dsdt.bytes).includes(bridge)).toBe(true);
  });

  test("are refused where they do not fit", () => {
    expect(() => build(64, { size: 1024 })).toThrow(/ACPI tables of \d+ bytes do not fit in 1024/);
  });
});

const iasl = Bun.which("iasl");

describe.skipIf(!iasl)("ACPICA's iasl (skipped where it is not installed)", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "acpi-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(...args: string[]): string {
    const { stdout, stderr, exitCode } = Bun.spawnSync([iasl as string, ...args], { cwd: folder });
    const output = `${stdout}${stderr}`;
    if (exitCode !== 0) throw new Error(output);
    return output;
  }

  const { listed, dsdt } = walk(build(4, { serial: [COM1, { base: 0x2f8, irq: 3 }] }));

  for (const { signature, bytes } of [...listed, dsdt]) {
    test(`reads the ${signature} and compiles what it read without a complaint`, async () => {
      await Bun.write(join(folder, `${signature}.aml`), bytes);
      expect(run("-d", `${signature}.aml`)).not.toMatch(/error|warning|invalid|mismatch/i);
      const source = await Bun.file(join(folder, `${signature}.dsl`)).text();
      expect(source).not.toMatch(/\*{4}|Unknown|Invalid|incorrect/i);
      expect(run(`${signature}.dsl`)).toMatch(/0 Errors, 0 Warnings, 0 Remarks/);
    });
  }

  test("finds the serial ports and the clock in the DSDT", async () => {
    await Bun.write(join(folder, "devices.aml"), dsdt.bytes);
    run("-d", "devices.aml");
    const source = await Bun.file(join(folder, "devices.dsl")).text();
    for (const part of [/Name \(\\?_S5/, /"PNP0B00"/, /"PNP0501"/, /0x03F8/, /0x02F8/, /\{4\}/]) {
      expect(source).toMatch(part);
    }
  });
});
