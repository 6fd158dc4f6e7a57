/** The machine's memory: the RAM backend and the ROM's, and the slots in which the guest sees them. */
import type { FdTable } from "@vmm/cpr";
import { ramChanges } from "@vmm/cpr/incoming";
import type { MemoryBackendConfig, VmConfig } from "../config/vm-config.ts";
import { GuestMemory, type MemorySlot } from "../memory/guest-memory.ts";
import { checkBrought, createMemoryBackend, type MemoryBackend } from "../memory/index.ts";
import { VmmError } from "../vmm-error.ts";
import { MIN_RAM, ROM_BACKEND, ROM_BASE, ROM_SIZE, ramRanges } from "./address-map.ts";

export interface MachineMemory {
  readonly backends: readonly MemoryBackend[];
  readonly slots: readonly MemorySlot[];
  readonly guest: GuestMemory;
}

/** The guest is about to change its RAM: where that is in a file, no state that was left there before holds any more. */
export function guestChangesRam({ backends }: MachineMemory, { memory }: VmConfig): void {
  const [ram] = backends;
  if (memory.backend === "file" && ram?.share && ram.fd !== undefined) ramChanges(ram.fd);
}

/** The machine's memory backends: RAM and ROM. */
export function memoryBackends({ memory, machine }: VmConfig): [MemoryBackendConfig, MemoryBackendConfig] {
  const rom = { id: ROM_BACKEND, size: ROM_SIZE, share: machine.auxRamShare };
  return [memory, { backend: "ram", prealloc: false, ...rom }];
}

/**
 * Makes the backends, or finds them in the fd table of a live update.
 *
 * @param brought They must be found.
 */
export function createMachineMemory(config: VmConfig, fds: FdTable, brought: boolean): MachineMemory {
  if (config.memory.size < MIN_RAM) {
    throw new VmmError("config", `memory of ${config.memory.size} bytes is too small: 2M is the least`);
  }
  const backends = memoryBackends(config);
  if (brought) for (const backend of backends) checkBrought(backend, fds);
  const ram = createMemoryBackend(backends[0], fds);
  const rom = createMemoryBackend(backends[1], fds);
  const slots: MemorySlot[] = [
    ...ramRanges(config.memory.size).map(({ gpa, size, offset }) => ({
      backend: ram.id,
      gpa,
      size,
      offset,
      address: ram.address + offset,
    })),
    { backend: rom.id, gpa: ROM_BASE, size: ROM_SIZE, offset: 0, address: rom.address },
  ].map((range, slot) => ({ slot, ...range }));
  return { backends: [ram, rom], slots, guest: new GuestMemory(slots) };
}
