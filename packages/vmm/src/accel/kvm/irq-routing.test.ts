import { describe, expect, test } from "bun:test";
import type { GsiRoute } from "../accelerator.ts";
import { defaultRoutes, routingTable } from "./irq-routing.ts";
import {
  KVM_IRQ_ROUTING_IRQCHIP,
  KVM_IRQ_ROUTING_MSI,
  KVM_IRQCHIP_IOAPIC,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_IRQCHIP_PIC_SLAVE,
  KvmIrqRouting,
  KvmIrqRoutingEntry,
} from "./uapi/kvm.ts";

/** The entries of a table, as numbers. */
function entries(routes: readonly GsiRoute[]) {
  const table = routingTable(routes);
  expect(table.nr).toBe(routes.length);
  expect(table.flags).toBe(0);
  expect(table.$bytes.length).toBe(KvmIrqRouting.size + routes.length * KvmIrqRoutingEntry.size);
  return routes.map((_, i) => {
    const entry = KvmIrqRoutingEntry.at(table.$view.buffer, KvmIrqRouting.size + i * KvmIrqRoutingEntry.size);
    return {
      gsi: entry.gsi,
      type: entry.type,
      flags: entry.flags,
      u: [0, 1, 2, 3].map((w) => entry.u.get(w)),
    };
  });
}

describe("the GSI routing table", () => {
  const wired = defaultRoutes() as (GsiRoute & { type: "irqchip" })[];
  const pinsOf = (gsi: number) => wired.filter((r) => r.gsi === gsi).map((r) => [r.chip, r.pin]);

  test("wires the ISA interrupts to a PIC and to the IOAPIC, at the pins that ACPI tells of", () => {
    // the PIT: IRQ 0 at the PIC, and at IOAPIC pin 2 by the MADT's override
    expect(pinsOf(0)).toEqual([
      [KVM_IRQCHIP_PIC_MASTER, 0],
      [KVM_IRQCHIP_IOAPIC, 2],
    ]);
    expect(pinsOf(4)).toEqual([
      [KVM_IRQCHIP_PIC_MASTER, 4],
      [KVM_IRQCHIP_IOAPIC, 4],
    ]);
    expect(pinsOf(8)).toEqual([
      [KVM_IRQCHIP_PIC_SLAVE, 0],
      [KVM_IRQCHIP_IOAPIC, 8],
    ]);
    // the cascade
    expect(pinsOf(2)).toEqual([]);
    for (let gsi = 16; gsi < 24; gsi++) expect(pinsOf(gsi)).toEqual([[KVM_IRQCHIP_IOAPIC, gsi]]);
  });

  test("gives no pin to two lines", () => {
    const pins = wired.map(({ chip, pin }) => `${chip}.${pin}`);
    expect(new Set(pins).size).toBe(pins.length);
  });

  test("has chip and pin, or the message's address and data, where the kernel looks for them", () => {
    const routes: GsiRoute[] = [
      { gsi: 9, type: "irqchip", chip: KVM_IRQCHIP_IOAPIC, pin: 9 },
      { gsi: 24, type: "msi", address: 0x12_fee01004n, data: 0x4041 },
    ];
    expect(entries(routes)).toEqual([
      { gsi: 9, type: KVM_IRQ_ROUTING_IRQCHIP, flags: 0, u: [KVM_IRQCHIP_IOAPIC, 9, 0, 0] },
      { gsi: 24, type: KVM_IRQ_ROUTING_MSI, flags: 0, u: [0xfee01004, 0x12, 0x4041, 0] },
    ]);
  });

  test("may be empty", () => {
    expect(entries([])).toEqual([]);
  });
});
