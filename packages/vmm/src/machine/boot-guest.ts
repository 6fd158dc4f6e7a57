/** Puts the guest's first code, its tables and its parameters into memory, and says how the boot processor starts. */
import { buildAcpiTables } from "../acpi/index.ts";
import type { BootInfo, VcpuEntry } from "../boot/boot.ts";
import { loadHeartbeat } from "../boot/heartbeat.ts";
import { loadKernel, readKernelFiles } from "../boot/load-kernel.ts";
import type { VmConfig } from "../config/vm-config.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { LOW_RAM_LIMIT, memoryMap, ROM_BASE, ROM_SIZE } from "./address-map.ts";

/** @throws VmmError `kernel-image` where the kernel does not load. */
export function bootGuest(config: VmConfig, memory: GuestMemory): VcpuEntry {
  memory.write(ROM_BASE, buildAcpiTables({ base: ROM_BASE, size: ROM_SIZE, cpus: config.cpus }));
  const info: BootInfo = {
    memory,
    memoryMap: memoryMap(config.memory.size),
    lowRamEnd: Math.min(config.memory.size, LOW_RAM_LIMIT),
    rsdp: ROM_BASE,
    cpus: config.cpus,
  };
  if ("guest" in config.boot) return loadHeartbeat(info);
  return loadKernel(readKernelFiles(config.boot), info);
}
