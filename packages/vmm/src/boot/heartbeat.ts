/** The built-in guest: a program that needs no file, so that a VM can be tried and tested anywhere. */
import { VmmError } from "../vmm-error.ts";
import type { BootInfo, VcpuEntry } from "./boot.ts";
import { ENTRY, IMAGE } from "./heartbeat/image.ts";
import { CODE, DATA, PARAMETERS } from "./heartbeat/map.ts";

/** What the guest must know of the machine's ACPI power management. */
export interface HeartbeatPorts {
  /** I/O port of the PM1a control register. */
  readonly pm1aControl: number;
  /** What to write there to power off: SLP_TYP of S5 and SLP_EN. */
  readonly powerOffValue: number;
  /** I/O port of the PM1a status register, where the power button shows; without it the button does nothing. */
  readonly pm1aStatus?: number;
}

/**
 * Puts the heartbeat guest into RAM, ready to start from nothing: also where it ran before, as at a system reset.
 *
 * @throws VmmError `kernel-image` where its low addresses are not RAM.
 */
export function loadHeartbeat(info: BootInfo, ports: HeartbeatPorts): VcpuEntry {
  const code = Uint8Array.fromBase64(IMAGE);
  const end = CODE + code.length;
  const hasRoom = info.memoryMap.some((e) => e.type === 1 && e.base <= DATA.start && end <= e.base + e.size);
  if (!hasRoom) throw new VmmError("kernel-image", "the heartbeat guest needs the first 64 KiB to be RAM");
  const data = info.memory.dataView(DATA.start, DATA.end - DATA.start);
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).fill(0);
  for (const [name, address] of Object.entries(PARAMETERS)) {
    data.setUint32(address - DATA.start, ports[name as keyof HeartbeatPorts] ?? 0, true);
  }
  info.memory.write(CODE, code);
  return { eip: ENTRY };
}
