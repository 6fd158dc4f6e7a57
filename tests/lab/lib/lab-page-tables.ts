/** A guest that QEMU's emulation left with the page tables of the lab's kernel, as it does now and then (docs/testing.md). */
import { ramRanges } from "@vmm/vmm/machine/address-map.ts";

/** What of CR3 is an address (Intel SDM volume 3, section 4.5). */
const PAGE_TABLE = 0x000f_ffff_ffff_f000n;

/**
 * Whether a vCPU's page tables are where its guest has no RAM, and the lab has. The vCPU faults at one address for ever.
 *
 * @param registers What `info registers -a` prints.
 * @param memoryBytes The guest's RAM.
 * @param iomem The lab's /proc/iomem, as root reads it.
 */
export function hasLabPageTables(registers: string, memoryBytes: number, iomem: string): boolean {
  const guest = ramRanges(memoryBytes).map(({ gpa, size }) => [gpa, gpa + size - 1] as const);
  const lab = [...iomem.matchAll(/^([0-9a-f]+)-([0-9a-f]+) : System RAM$/gm)].map(
    ([, first, last]) => [Number(`0x${first}`), Number(`0x${last}`)] as const,
  );
  const roots = [...registers.matchAll(/ CR3=([0-9a-f]+)/g)].map(([, root]) =>
    Number(BigInt(`0x${root}`) & PAGE_TABLE),
  );
  return roots.some((root) => !isIn(root, guest) && isIn(root, lab));
}

const isIn = (address: number, ranges: readonly (readonly [first: number, last: number])[]): boolean =>
  ranges.some(([first, last]) => first <= address && address <= last);
