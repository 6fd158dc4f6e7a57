/** Lays the ACPI tables out in guest memory. */
import { VmmError } from "../vmm-error.ts";
import type { Aml } from "./aml.ts";
import { dsdt, type SerialPort } from "./dsdt.ts";
import { FACS_ALIGN, facs } from "./facs.ts";
import { fadt } from "./fadt.ts";
import { madt } from "./madt.ts";
import { Rsdp, rsdp, xsdt } from "./rsdp.ts";

export interface AcpiTablesOptions {
  /** Guest-physical address of the region, at a multiple of 16; the RSDP is at its start. */
  readonly base: number;
  /** Size of the region in bytes. */
  readonly size: number;
  /** Number of vCPUs. */
  readonly cpus: number;
  /** The UARTs, COM1 first. */
  readonly serial: readonly SerialPort[];
  /** Devices to describe in the DSDT beside the chipset's: terms within \_SB. */
  readonly devices?: readonly Aml[];
  /** Whole tables to list beside FADT and MADT, such as an MCFG. */
  readonly tables?: readonly Uint8Array[];
}

const ALIGN = 16;

/** Gives out the region from its start and keeps what was put there. */
class Region {
  readonly #base: number;
  #next = 0;
  readonly #parts: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  constructor(base: number) {
    this.#base = base;
  }

  /** Takes `size` bytes. Returns their guest-physical address. */
  reserve(size: number, align = ALIGN): number {
    const address = Math.ceil((this.#base + this.#next) / align) * align;
    this.#next = address - this.#base + size;
    return address;
  }

  put(address: number, bytes: Uint8Array): void {
    this.#parts.push({ at: address - this.#base, bytes });
  }

  /** Reserves and fills. Returns the guest-physical address. */
  add(bytes: Uint8Array, align = ALIGN): number {
    const address = this.reserve(bytes.length, align);
    this.put(address, bytes);
    return address;
  }

  bytes(): Uint8Array {
    const whole = new Uint8Array(this.#next);
    for (const { at, bytes } of this.#parts) whole.set(bytes, at);
    return whole;
  }
}

/**
 * Builds all tables, to be copied to `base`. A PC's guest looks for the RSDP between 0xe0000 and 0xfffff.
 *
 * @returns As many bytes as the tables take, up to `size`.
 * @throws VmmError `device` where they need more.
 */
export function buildAcpiTables(options: AcpiTablesOptions): Uint8Array {
  const region = new Region(options.base);
  const root = region.reserve(Rsdp.size);
  const facsAddress = region.add(facs(), FACS_ALIGN);
  const dsdtAddress = region.add(dsdt(options.serial, options.devices));
  const listed = [fadt(facsAddress, dsdtAddress), madt(options.cpus), ...(options.tables ?? [])];
  const addresses = listed.map((table) => region.add(table));
  region.put(root, rsdp(region.add(xsdt(addresses))));
  const whole = region.bytes();
  if (whole.length > options.size) {
    throw new VmmError(
      "device",
      `ACPI tables of ${whole.length} bytes do not fit in ${options.size}: use fewer vCPUs or devices`,
    );
  }
  return whole;
}
