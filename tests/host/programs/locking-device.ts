/** A device that locks memory while it is started, as passthrough devices do with guest RAM; as a plug-in. */
import { dlopen } from "bun:ffi";
import { type Device, registerDriver } from "@vmm/vmm";

const libc = dlopen("libc.so.6", { mlock: { args: ["buffer", "usize"], returns: "int" } }).symbols;

class LockingDevice implements Device {
  readonly id: string;
  readonly #memory = new Uint8Array(1 << 20);

  constructor(id: string) {
    this.id = id;
  }

  reset(): void {}

  start(): void {
    if (libc.mlock(this.#memory, this.#memory.length) !== 0)
      throw new Error(`${this.id}: cannot lock memory`);
  }
}

registerDriver({ name: "locking", create: (_, { id }) => new LockingDevice(id) });
