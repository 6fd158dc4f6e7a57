/**
 * The state arena: one SharedArrayBuffer that holds all mutable device state of the machine, carved into named,
 * versioned records.
 *
 * Every thread builds the same devices from the same configuration in the same order, so a record has the same offset
 * everywhere without any talk between threads. What two threads may write at the same time is guarded by the device
 * lock; see `docs/threads.md`.
 */
import type { RecordSchema } from "@vmm/cpr";
import type { Fields, Struct } from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";

export type { RecordSchema };

/** A record in the arena. */
export interface ArenaRecord {
  /** The owner's name, unique in the machine, such as `serial0`. */
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: the arena holds records of every shape
  readonly schema: RecordSchema<any>;
  /** Bytes from the start of the arena. */
  readonly offset: number;
}

/** Size of the arena in bytes. Pages nobody touches cost nothing. */
export const ARENA_SIZE = 4 << 20;

/** Records start at multiples of this, so that no two records share a cache line. */
const RECORD_ALIGN = 64;

export class StateArena {
  readonly buffer: SharedArrayBuffer;
  #records = new Map<string, ArenaRecord>();
  #next = 0;

  /** @param buffer The arena of another thread; without it a new zeroed one. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(ARENA_SIZE)) {
    this.buffer = buffer;
  }

  /**
   * Claims the record `name`. Threads must claim the same records in the same order.
   *
   * @throws VmmError `arena-name` where the name is taken, `arena-full` where the record does not fit.
   */
  record<F extends Fields>(name: string, schema: RecordSchema<F>): Struct<F> {
    if (this.#records.has(name)) {
      throw new VmmError(
        "arena-name",
        `state record "${name}" is claimed twice: give each device an id of its own`,
      );
    }
    const offset = this.#next;
    if (offset + schema.layout.size > this.buffer.byteLength) {
      throw new VmmError(
        "arena-full",
        `state record "${name}" of ${schema.layout.size} bytes does not fit in the arena`,
      );
    }
    this.#next = Math.ceil((offset + schema.layout.size) / RECORD_ALIGN) * RECORD_ALIGN;
    this.#records.set(name, { name, schema, offset });
    return schema.layout.at(this.buffer, offset);
  }

  /** All records in the order in which they were claimed. */
  records(): ArenaRecord[] {
    return [...this.#records.values()];
  }

  /** The bytes of a record, in place. */
  bytesOf(record: ArenaRecord): Uint8Array {
    return new Uint8Array(this.buffer, record.offset, record.schema.layout.size);
  }

  /** A number that two threads have in common only if they claimed the same records in the same order. */
  digest(): number {
    const index = this.records().map((r) => `${r.name}\0${r.schema.kind}\0${r.schema.version}\0${r.offset}`);
    return Bun.hash.crc32(index.join("\n")) | 0;
  }
}
