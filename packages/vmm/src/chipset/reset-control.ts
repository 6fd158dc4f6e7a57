/**
 * The reset control register of Intel's chipsets (ICH9 data sheet, 13.7.5), which the FADT names as the reset register.
 *
 * It lies within the four ports of PCI's configuration address, which take only accesses of four bytes; so it claims its
 * own port and no more.
 */
import type { RecordSchema } from "@vmm/cpr";
import { struct, u8 } from "@vmm/libc";
import type { Device, DeviceContext } from "../device/device.ts";
import { ByteTarget } from "./byte-target.ts";

const ResetControlState = struct("reset-control", { value: u8 });

export const RESET_CONTROL_SCHEMA = {
  kind: "reset-control",
  version: 1,
  compat: 1,
  layout: ResetControlState,
} satisfies RecordSchema;

export const RESET_PORT = 0xcf9;
/** What resets the machine when it is written: hard reset, now. */
export const RESET_VALUE = 0x06;

const HARD_RESET = 0x02;
const RESET_NOW = 0x04;
const FULL_RESET = 0x08;

export class ResetControl extends ByteTarget implements Device {
  readonly id: string;
  readonly #state: ReturnType<typeof ResetControlState.at>;
  readonly #context: DeviceContext;

  constructor(context: DeviceContext, id = "reset-control") {
    super();
    this.id = id;
    this.#context = context;
    this.#state = context.arena.record(id, RESET_CONTROL_SCHEMA);
    context.pio.claim({ name: id, base: RESET_PORT, size: 1, target: this });
  }

  reset(): void {
    this.#state.value = 0;
  }

  protected override readByte(offset: number): number {
    return offset === 0 ? this.#state.value : 0xff;
  }

  /** The kind of reset is remembered, the order to reset is not: so each write that holds it is an edge. */
  protected override writeByte(offset: number, value: number): void {
    if (offset !== 0) return;
    this.#state.value = value & (HARD_RESET | FULL_RESET);
    if (value & RESET_NOW) this.#context.request("reset");
  }
}
