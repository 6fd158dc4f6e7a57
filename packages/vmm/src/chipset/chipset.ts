/** The chipset: the devices that every machine has, whatever its configuration. */
import type { Device, DeviceContext } from "../device/device.ts";
import { HIGH_RAM_BASE, ramRanges } from "../machine/address-map.ts";
import { VmmError } from "../vmm-error.ts";
import { AcpiPm } from "./acpi-pm.ts";
import { CmosRtc } from "./cmos-rtc.ts";
import { DebugExit } from "./debug-exit.ts";
import { I8042 } from "./i8042.ts";
import { Port92 } from "./port92.ts";
import { ResetControl } from "./reset-control.ts";
import { Uart16550 } from "./uart-16550.ts";

/**
 * Where PCs have COM1 to COM4. The third and fourth get interrupts of their own: ISA lines, being edge-triggered, can't be
 * shared.
 */
export const SERIAL_PORTS: readonly { base: number; irq: number }[] = [
  { base: 0x3f8, irq: 4 },
  { base: 0x2f8, irq: 3 },
  { base: 0x3e8, irq: 5 },
  { base: 0x2e8, irq: 7 },
];

export interface ChipsetOptions {
  /** RAM of the guest in bytes. */
  readonly ramSize: number;
  /** The chardevs of COM1 and so on, at most four; each gives its id to the port. */
  readonly serial: readonly string[];
}

export interface Chipset {
  /** All of them, in the order in which they were built. */
  readonly devices: readonly Device[];
  readonly pm: AcpiPm;
  readonly rtc: CmosRtc;
  readonly uarts: readonly Uart16550[];
}

/**
 * Builds the chipset. The order is fixed: it is that of the state records.
 *
 * @throws VmmError `device` where there are more than four serial ports.
 */
export function createChipset(context: DeviceContext, options: ChipsetOptions): Chipset {
  const pm = new AcpiPm(context, { id: "acpi-pm" });
  const rtc = new CmosRtc(context, {
    id: "cmos-rtc",
    ...splitRam(options.ramSize),
    alarm: () => pm.rtcAlarm(),
  });
  const small = [new I8042(context), new Port92(context), new ResetControl(context), new DebugExit(context)];
  const uarts = options.serial.map((id, index) => {
    const place = SERIAL_PORTS[index];
    if (!place) throw new VmmError("device", `serial port "${id}": a machine has at most four serial ports`);
    return new Uart16550(context, { id: `uart-${id}`, chardev: id, ...place });
  });
  return { devices: [pm, rtc, ...small, ...uarts], pm, rtc, uarts };
}

/** How much RAM ends up on which side of 4 GiB. */
function splitRam(ramSize: number): { lowMemory: number; highMemory: number } {
  const ranges = ramRanges(ramSize);
  const high = ranges.find(({ gpa }) => gpa === HIGH_RAM_BASE)?.size ?? 0;
  return { lowMemory: ramSize - high, highMemory: high };
}
