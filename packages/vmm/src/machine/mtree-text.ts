/** The guest's address spaces as text, in the shape of QEMU's `info mtree`. */
import type { BusRange } from "../bus/bus.ts";
import type { Machine } from "./machine.ts";

const hex = (address: number): string => address.toString(16).padStart(16, "0");

const line = (base: number, size: number, what: string): string =>
  `    ${hex(base)}-${hex(base + size - 1)} (prio 0, ${what}\n`;

const device = ({ base, size, name }: BusRange): string => line(base, size, `i/o): ${name}`);

export function mtreeText({ host, memory }: Machine): string {
  const ram = memory.slots.map((slot) => ({
    base: slot.gpa,
    text: line(slot.gpa, slot.size, `ram): ${slot.backend} @${hex(slot.offset)}`),
  }));
  const mmio = host.mmio.ranges().map((range) => ({ base: range.base, text: device(range) }));
  const all = [...ram, ...mmio].sort((a, b) => a.base - b.base);
  return [
    "address-space: memory\n",
    line(0, 2 ** 52, "i/o): system").replace(/^ {2}/, ""),
    ...all.map(({ text }) => text),
    "\naddress-space: I/O\n",
    line(0, 0x10000, "i/o): io").replace(/^ {2}/, ""),
    ...host.pio.ranges().map(device),
  ].join("");
}
