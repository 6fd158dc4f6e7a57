/**
 * The DSDT: how the machine is powered off, and the devices that have no register by which a driver could find them.
 *
 * No processor objects: a driver would need them only for C-states and throttling, which a guest has no use for, and
 * Linux takes the processors from the MADT.
 */

import { SLEEP_TYPE_S5 } from "../chipset/acpi-pm.ts";
import { RTC_IRQ, RTC_PORT, RTC_PORTS } from "../chipset/cmos-rtc.ts";
import { UART_PORTS } from "../chipset/uart-16550-registers.ts";
import { type Aml, device, eisaId, integer, name, packageOf, scope } from "./aml.ts";
import { io, irq, resources } from "./resource.ts";
import { acpiTable } from "./table.ts";

/** Integers of 64 bits came with revision 2. */
const DSDT_REVISION = 2;

/** A UART's first port and its interrupt line. */
export interface SerialPort {
  readonly base: number;
  readonly irq: number;
}

function uart(port: SerialPort, index: number): Aml {
  return device(
    `COM${index + 1}`,
    name("_HID", eisaId("PNP0501")),
    name("_UID", integer(index + 1)),
    name("_CRS", resources(io(port.base, UART_PORTS), irq(port.irq))),
  );
}

const rtc = device(
  "RTC",
  name("_HID", eisaId("PNP0B00")),
  name("_CRS", resources(io(RTC_PORT, RTC_PORTS), irq(RTC_IRQ))),
);

/** @param devices Further devices within \_SB, such as a PCI host bridge. */
export function dsdt(serial: readonly SerialPort[], devices: readonly Aml[] = []): Uint8Array {
  const sleepType = integer(SLEEP_TYPE_S5);
  const zero = integer(0);
  return acpiTable(
    "DSDT",
    DSDT_REVISION,
    name("\\_S5", packageOf(sleepType, sleepType, zero, zero)),
    scope("\\_SB", rtc, ...serial.map(uart), ...devices),
  );
}
