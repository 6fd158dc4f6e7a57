/** System control port A of the PS/2: the fast reset and the fast A20 gate. A20 is always open here. */
import type { RecordSchema } from "@vmm/cpr";
import { struct, u8 } from "@vmm/libc";
import type { Device, DeviceContext } from "../device/device.ts";
import { ByteTarget } from "./byte-target.ts";

const Port92State = struct("port92", { value: u8 });

export const PORT92_SCHEMA = {
  kind: "port92",
  version: 1,
  compat: 1,
  layout: Port92State,
} satisfies RecordSchema;

const PORT = 0x92;
const FAST_RESET = 0x01;
const A20_OPEN = 0x02;

export class Port92 extends ByteTarget implements Device {
  readonly id: string;
  readonly #state: ReturnType<typeof Port92State.at>;
  readonly #context: DeviceContext;

  constructor(context: DeviceContext, id = "port92") {
    super();
    this.id = id;
    this.#context = context;
    this.#state = context.arena.record(id, PORT92_SCHEMA);
    context.pio.claim({ name: id, base: PORT, size: 1, target: this });
  }

  reset(): void {
    this.#state.value = A20_OPEN;
  }

  protected override readByte(offset: number): number {
    return offset === 0 ? this.#state.value | A20_OPEN : 0xff;
  }

  /** The reset comes with the bit's rising edge: a guest that writes the port for A20 alone keeps the bit as it reads. */
  protected override writeByte(offset: number, value: number): void {
    if (offset !== 0) return;
    const rising = value & ~this.#state.value;
    this.#state.value = value;
    if (rising & FAST_RESET) this.#context.request("reset");
  }
}
