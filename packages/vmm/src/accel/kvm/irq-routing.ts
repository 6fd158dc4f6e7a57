/** The GSI routing table: which interrupt a GSI raises, at a chip's pin or as a message. */
import { ioctl } from "@vmm/libc";
import type { GsiRoute } from "../accelerator.ts";
import {
  KVM_IRQ_ROUTING_IRQCHIP,
  KVM_IRQ_ROUTING_MSI,
  KVM_IRQCHIP_IOAPIC,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_IRQCHIP_PIC_SLAVE,
  KVM_SET_GSI_ROUTING,
  KvmIrqRouting,
  KvmIrqRoutingEntry,
} from "./uapi/kvm.ts";

/** The PC's wiring: GSI 0-15 to the PICs and the IOAPIC (the PIT's GSI 0 at pin 2), 16-23 to the IOAPIC. */
export function defaultRoutes(): GsiRoute[] {
  const routes: GsiRoute[] = [];
  for (let gsi = 0; gsi < 16; gsi++) {
    if (gsi !== 2) {
      const chip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
      routes.push({ gsi, type: "irqchip", chip, pin: gsi & 7 });
    }
  }
  for (let gsi = 0; gsi < 24; gsi++) {
    if (gsi !== 2) routes.push({ gsi, type: "irqchip", chip: KVM_IRQCHIP_IOAPIC, pin: gsi === 0 ? 2 : gsi });
  }
  return routes;
}

/** The routes as the kernel takes them: `kvm_irq_routing` and its entries. */
export function routingTable(routes: readonly GsiRoute[]) {
  const table = KvmIrqRouting.alloc(routes.length * KvmIrqRoutingEntry.size);
  table.nr = routes.length;
  routes.forEach((route, i) => {
    const entry = KvmIrqRoutingEntry.at(table.$view.buffer, KvmIrqRouting.size + i * KvmIrqRoutingEntry.size);
    entry.gsi = route.gsi;
    if (route.type === "irqchip") {
      entry.type = KVM_IRQ_ROUTING_IRQCHIP;
      entry.u.set(0, route.chip);
      entry.u.set(1, route.pin);
    } else {
      entry.type = KVM_IRQ_ROUTING_MSI;
      entry.u.set(0, Number(route.address & 0xffffffffn));
      entry.u.set(1, Number(route.address >> 32n));
      entry.u.set(2, route.data);
    }
  });
  return table;
}

/** Replaces the VM's routing table. */
export function setRouting(vm: number, routes: readonly GsiRoute[]): void {
  ioctl(vm, KVM_SET_GSI_ROUTING, routingTable(routes));
}
