/**
 * The debug-exit port: a guest that writes a value ends the VMM with a status made of it. For test guests; the numbers
 * are those of QEMU's isa-debug-exit.
 */
import type { Device, DeviceContext } from "../device/device.ts";

const PORT = 0xf4;
const PORTS = 4;

export class DebugExit implements Device {
  readonly id: string;

  constructor(context: DeviceContext, id = "debug-exit") {
    this.id = id;
    const target = {
      read: () => 0,
      write: (_offset: number, _size: number, value: number) => {
        context.request("exit", ((value << 1) | 1) >>> 0);
      },
    };
    context.pio.claim({ name: id, base: PORT, size: PORTS, target });
  }
}
