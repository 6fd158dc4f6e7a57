import { describe, expect, test } from "bun:test";
import { hasLabPageTables } from "./lab-page-tables.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Of a lab with 8 GiB. */
const IOMEM = `00000000-00000fff : Reserved
00001000-0009fbff : System RAM
000a0000-000fffff : Reserved
  000f0000-000fffff : System ROM
00100000-7ffdafff : System RAM
  01000000-01ffffff : Kernel code
7ffdb000-7fffffff : Reserved
100000000-27fffffff : System RAM
`;

/** As `vmm qmp` prints it. */
const vcpus = (...roots: string[]) =>
  JSON.stringify(
    roots
      .map(
        (root, i) =>
          `\r\nCPU#${i}\r\nRIP=ffffffff939f3bdc\r\nCR0=80050033 CR2=00000000 CR3=${root} CR4=00001020\r\n`,
      )
      .join(""),
  );

describe("a guest has the lab's page tables", () => {
  for (const [cr3, bytes] of [
    ["00000001014a2000", 512 * MIB],
    ["0000000020000000", 512 * MIB],
    ["80000000200a2005", 512 * MIB],
    ["0000000180000000", 5 * GIB],
  ] as const)
    test(`where CR3 is ${cr3} and it has ${bytes / MIB} MiB`, () => {
      expect(hasLabPageTables(vcpus("00001000", cr3), bytes, IOMEM)).toBe(true);
    });
});

describe("a guest has not the lab's page tables", () => {
  for (const [what, cr3, bytes] of [
    ["at power on", "00000000", 512 * MIB],
    ["at the end of its RAM", "000000001ffff005", 512 * MIB],
    ["with a flag beside the address", "80000000014a2005", 512 * MIB],
    ["at the end of its low RAM", "00000000bffff000", 5 * GIB],
    ["at the end of its high RAM", "000000017ffff000", 5 * GIB],
    ["where neither has RAM", "00000000c0000000", 512 * MIB],
    ["where the lab's RAM ends", "0000000280000000", 512 * MIB],
  ] as const)
    test(`${what}: CR3 is ${cr3}, and it has ${bytes / MIB} MiB`, () => {
      expect(hasLabPageTables(vcpus(cr3), bytes, IOMEM)).toBe(false);
    });

  test("where nothing is known of them", () => {
    expect(hasLabPageTables("vmm: no VM is named 'linux'\n", 512 * MIB, IOMEM)).toBe(false);
  });
});
