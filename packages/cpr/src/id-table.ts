/**
 * Numbers that a live update carries over, by name: ids that the kernel gave and that live in a preserved fd, such as
 * an IOAS of an iommufd.
 */
import { CprError } from "./cpr-error.ts";

export interface IdEntry {
  readonly name: string;
  /** 0 to 2^32 - 1. */
  readonly value: number;
}

/** The most entries of a table. */
export const MAX_IDS = 4096;

export class IdTable {
  #values = new Map<string, number>();

  /** Saves a number; one that was saved under the name before is replaced. */
  saveId(name: string, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new CprError("fd-name", `id "${name}": ${value} is not a whole number from 0 to 4294967295`);
    }
    if (!this.#values.has(name) && this.#values.size >= MAX_IDS) {
      throw new CprError(
        "fd-limit",
        `id "${name}" cannot be preserved: ${MAX_IDS} are already, which is the limit`,
      );
    }
    this.#values.set(name, value);
  }

  findId(name: string): number | undefined {
    return this.#values.get(name);
  }

  deleteId(name: string): void {
    this.#values.delete(name);
  }

  entries(): IdEntry[] {
    return [...this.#values].map(([name, value]) => ({ name, value }));
  }
}
