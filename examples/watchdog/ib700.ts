/**
 * The watchdog of the iBASE IB700 board, as a plug-in: a guest that stops feeding it is reset. Linux has a driver for it
 * (`drivers/watchdog/ib700wdt.c`), whose tables are where the ports and times come from.
 *
 *   vmm start --plugin ./examples/watchdog/ib700.ts --device ib700,id=watchdog0 ...
 *
 * - A write to 0x443 starts or feeds it; the low four bits say how long it waits: 30 s less 2 s for each.
 * - A write to 0x441 stops it.
 */
import { struct, u8 } from "@vmm/libc";
import {
  type Device,
  type DeviceContext,
  type DeviceTimer,
  type RecordSchema,
  registerDriver,
} from "@vmm/vmm";

const STOP_PORT = 0x441;
const START_PORT = 0x443;
const SECOND = 1e9;

const WatchdogState = struct("ib700-watchdog", {
  /** How often it has reset the machine; saturates. */
  resets: u8,
});

const WATCHDOG_SCHEMA = {
  kind: "ib700-watchdog",
  version: 1,
  compat: 1,
  layout: WatchdogState,
} satisfies RecordSchema;

export class Ib700Watchdog implements Device {
  readonly id: string;
  readonly #state: { resets: number };
  /** The deadline is the timer's state, and is saved with it. */
  readonly #timer: DeviceTimer;
  readonly #context: DeviceContext;

  constructor(context: DeviceContext, id: string) {
    this.id = id;
    this.#context = context;
    this.#state = context.arena.record(id, WATCHDOG_SCHEMA);
    this.#timer = context.timer(id, () => this.#expire());
    const read = () => this.#state.resets;
    context.pio.claim({
      name: id,
      base: STOP_PORT,
      size: 1,
      target: { read, write: () => this.#timer.disarm() },
    });
    context.pio.claim({
      name: id,
      base: START_PORT,
      size: 1,
      target: { read, write: (_offset, _size, value) => this.#feed(value) },
    });
  }

  /** The count goes on: it tells the guest that boots next why it does. */
  reset(): void {
    this.#timer.disarm();
  }

  #feed(value: number): void {
    const seconds = 30 - 2 * (value & 0xf);
    this.#timer.arm(this.#context.clock.now() + seconds * SECOND);
  }

  #expire(): void {
    this.#state.resets = Math.min(this.#state.resets + 1, 0xff);
    this.#context.request("reset");
  }
}

registerDriver({ name: "ib700", create: (context, { id }) => new Ib700Watchdog(context, id) });
