import type { StateHeader } from "@vmm/cpr";
import { currentBootId } from "@vmm/cpr/incoming";
import { CLOCK_BOOTTIME, clockGettime } from "@vmm/libc";
import type { RestoreTime } from "../accel/accelerator.ts";

/** How long a state has been lying, and whether the host's clocks went on meanwhile. */
export function restoreTime(header: StateHeader): RestoreTime {
  const sameBoot = currentBootId() === header.bootId;
  const elapsedNs = sameBoot
    ? Number(clockGettime(CLOCK_BOOTTIME)) - header.stoppedBoottimeNs
    : Date.now() * 1e6 - header.stoppedRealtimeNs;
  return { sameBoot, elapsedNs: Math.max(0, elapsedNs) };
}
