/** A guest that QEMU's emulation left with the registers of the lab's kernel, as it does now and then (docs/testing.md). */
import { LOW_RAM_LIMIT } from "@vmm/vmm/machine/address-map.ts";

/** The exit status of a program in the lab whose guest was left so: EX_TEMPFAIL of sysexits.h. */
export const LAB_REGISTERS_STATUS = 75;

const HIGH_RAM = 2n ** 32n;
/** What of CR3 is an address (Intel SDM volume 3, section 4.5). */
const PAGE_TABLE = 0x000f_ffff_ffff_f000n;

function isRam(address: bigint, memoryBytes: number): boolean {
  const low = Math.min(memoryBytes, LOW_RAM_LIMIT);
  return address < BigInt(low) || (address >= HIGH_RAM && address < HIGH_RAM + BigInt(memoryBytes - low));
}

/**
 * Whether a vCPU's page tables are where its guest has no RAM. No instruction of such a guest can run, so none of its
 * own has made it so; the vCPU faults at one address for ever.
 *
 * @param registers What `info registers -a` prints.
 * @param memoryBytes The guest's RAM.
 */
export function hasLabRegisters(registers: string, memoryBytes: number): boolean {
  const roots = [...registers.matchAll(/\bCR3=([0-9a-f]+)/g)].map(
    ([, root]) => BigInt(`0x${root}`) & PAGE_TABLE,
  );
  return roots.some((root) => !isRam(root, memoryBytes));
}
