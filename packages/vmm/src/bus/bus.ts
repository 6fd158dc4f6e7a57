/**
 * A bus: address ranges and the device that answers in each. Ranges never overlap; a read that nobody claims gives all
 * ones and a write that nobody claims is dropped, as on a PC.
 */
import { VmmError } from "../vmm-error.ts";

/**
 * What a device does with an access. Offsets count from the start of its range in bytes; sizes are 1, 2 or 4 on the port
 * bus, and 1, 2, 4 or 8 on the memory bus. An 8-byte access reaches a device as two 4-byte ones.
 */
export interface BusTarget {
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

/** A claimed range. */
export interface BusRange {
  readonly name: string;
  readonly base: number;
  /** Size in bytes. */
  readonly size: number;
  readonly target: BusTarget;
}

/** All ones in `size` bytes, as a number. */
const allOnes = (size: number): number => (size >= 4 ? 0xffffffff : (1 << (8 * size)) - 1);

export class Bus {
  readonly name: string;
  /** One past the highest address. */
  readonly limit: number;
  #ranges: BusRange[] = [];
  #last: BusRange | undefined;

  constructor(name: string, limit: number) {
    this.name = name;
    this.limit = limit;
  }

  /**
   * Gives the range to a device.
   *
   * @throws VmmError `bus-overlap` naming both owners, `bus-range` where the range leaves the bus.
   */
  claim(range: BusRange): void {
    const { name, base, size } = range;
    const whole = Number.isSafeInteger(base) && Number.isSafeInteger(size);
    if (!(whole && base >= 0 && size > 0 && base + size <= this.limit)) {
      throw new VmmError(
        "bus-range",
        `${name}: ${this.name} range ${hex(base)}+${hex(size)} is outside the bus`,
      );
    }
    const other = this.#ranges.find((r) => base < r.base + r.size && r.base < base + size);
    if (other) {
      throw new VmmError(
        "bus-overlap",
        `${name}: ${this.name} range ${hex(base)}+${hex(size)} overlaps ${other.name} at ${hex(other.base)}+${hex(other.size)}`,
      );
    }
    this.#ranges.push(range);
    this.#ranges.sort((a, b) => a.base - b.base);
  }

  /** Takes a range back, as when a PCI BAR moves. */
  release(range: BusRange): void {
    this.#ranges = this.#ranges.filter((r) => r !== range);
    this.#last = undefined;
  }

  /** The ranges in order of address. */
  ranges(): readonly BusRange[] {
    return this.#ranges;
  }

  /** The range that holds `address`. The last hit is tried first: accesses come in runs. */
  find(address: number): BusRange | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.base + last.size) return last;
    const ranges = this.#ranges;
    let low = 0;
    let high = ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const range = ranges[middle] as BusRange;
      if (address < range.base) high = middle - 1;
      else if (address >= range.base + range.size) low = middle + 1;
      else {
        this.#last = range;
        return range;
      }
    }
    return undefined;
  }

  /** Reads `size` bytes (1, 2 or 4). The value is unsigned. */
  read(address: number, size: number): number {
    const range = this.find(address);
    if (range === undefined) return allOnes(size);
    return (range.target.read(address - range.base, size) & allOnes(size)) >>> 0;
  }

  /** Writes `size` bytes (1, 2 or 4). */
  write(address: number, size: number, value: number): void {
    const range = this.find(address);
    if (range !== undefined) range.target.write(address - range.base, size, value);
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;
