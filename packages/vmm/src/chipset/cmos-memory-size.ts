/** Where PC firmware writes the memory's size in CMOS RAM: by cell, low byte first. */

const KIB = 1024;
const CHUNK = 64 * KIB;
const MIB = 1024 * KIB;

/** Conventional memory, in KiB. */
const BASE_MEMORY = 0x15;
const BASE_MEMORY_KIB = 640;
/** Memory from 1 MiB to 64 MiB, in KiB: as found in the setup, and as tested. */
const EXTENDED_MEMORY = [0x17, 0x30];
/** Memory from 16 MiB to 4 GiB, in 64 KiB. */
const ABOVE_16M = 0x34;
/** Memory above 4 GiB, in 64 KiB, three bytes. */
const ABOVE_4G = 0x5b;

function put(cells: Uint8Array, index: number, size: number, value: number): void {
  const most = 2 ** (8 * size) - 1;
  const capped = Math.max(0, Math.min(Math.floor(value), most));
  for (let i = 0; i < size; i++) cells[index + i] = Math.floor(capped / 2 ** (8 * i)) & 0xff;
}

/** Writes the sizes in bytes of the RAM below and above 4 GiB; each cell holds the most it can where that is less. */
export function writeMemorySize(cells: Uint8Array, low: number, high: number): void {
  put(cells, BASE_MEMORY, 2, BASE_MEMORY_KIB);
  for (const index of EXTENDED_MEMORY) put(cells, index, 2, (low - MIB) / KIB);
  put(cells, ABOVE_16M, 2, (low - 16 * MIB) / CHUNK);
  put(cells, ABOVE_4G, 3, high / CHUNK);
}
