/** Puts the guest's first code, its tables and its parameters into memory, and says how the boot processor starts. */
import { buildAcpiTables } from "../acpi/index.ts";
import type { BootInfo, VcpuEntry } from "../boot/boot.ts";
import { loadHeartbeat } from "../boot/heartbeat.ts";
import { loadKernel, readKernelFiles } from "../boot/load-kernel.ts";
import {
  ACPI_PM_BASE,
  PM1_CONTROL_OFFSET,
  PM1_EVENT_OFFSET,
  POWER_OFF_VALUE,
  SERIAL_PORTS,
} from "../chipset/index.ts";
import type { VmConfig } from "../config/vm-config.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { LOW_RAM_LIMIT, memoryMap, ROM_BASE, ROM_SIZE } from "./address-map.ts";

/** Where the heartbeat guest finds the power button and switches the machine off. */
const HEARTBEAT_PORTS = {
  pm1aControl: ACPI_PM_BASE + PM1_CONTROL_OFFSET,
  pm1aStatus: ACPI_PM_BASE + PM1_EVENT_OFFSET,
  powerOffValue: POWER_OFF_VALUE,
};

function acpiTables(config: VmConfig): Uint8Array {
  const serial = SERIAL_PORTS.slice(0, config.chardevs.length);
  return buildAcpiTables({ base: ROM_BASE, size: ROM_SIZE, cpus: config.cpus, serial });
}

/** @throws VmmError `kernel-image` where the kernel does not load. */
export function bootGuest(config: VmConfig, memory: GuestMemory): VcpuEntry {
  memory.write(ROM_BASE, acpiTables(config));
  const info: BootInfo = {
    memory,
    memoryMap: memoryMap(config.memory.size),
    lowRamEnd: Math.min(config.memory.size, LOW_RAM_LIMIT),
    rsdp: ROM_BASE,
    cpus: config.cpus,
  };
  if ("guest" in config.boot) return loadHeartbeat(info, HEARTBEAT_PORTS);
  return loadKernel(readKernelFiles(config.boot), info);
}
