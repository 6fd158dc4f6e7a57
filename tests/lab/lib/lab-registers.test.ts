import { describe, expect, test } from "bun:test";
import { hasLabRegisters } from "./lab-registers.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const vcpu = (cr3: string) =>
  `\r\nCPU#0\r\nRIP=ffffffff939f3bdc RFL=00010246\r\nCR0=80050033 CR3=${cr3} CR4=00001020\r\n`;

describe("a guest has the lab's registers", () => {
  for (const [cr3, bytes] of [
    ["00000001014a2000", 512 * MIB],
    ["0000000020000000", 512 * MIB],
    ["00000000c0000000", 5 * GIB],
    ["0000000180000000", 5 * GIB],
  ] as const)
    test(`where CR3 is ${cr3} and there are ${bytes / MIB} MiB`, () => {
      expect(hasLabRegisters(vcpu(cr3), bytes)).toBe(true);
      expect(hasLabRegisters(vcpu("00001000") + vcpu(cr3), bytes)).toBe(true);
    });
});

describe("a guest has registers of its own", () => {
  for (const [cr3, bytes] of [
    ["00000000", 512 * MIB],
    ["000000001ffff005", 512 * MIB],
    ["80000000014a2005", 512 * MIB],
    ["00000000bffff000", 5 * GIB],
    ["000000017ffff000", 5 * GIB],
  ] as const)
    test(`where CR3 is ${cr3} and there are ${bytes / MIB} MiB`, () => {
      expect(hasLabRegisters(vcpu(cr3), bytes)).toBe(false);
    });

  test("where nothing is known of them", () => {
    expect(hasLabRegisters("vmm: no VM is named 'linux'\n", 512 * MIB)).toBe(false);
  });
});
