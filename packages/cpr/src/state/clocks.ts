/** The moment at which a guest was stopped, on every clock that a new process may compare with. */
import { CLOCK_BOOTTIME, CLOCK_REALTIME, clockGettime, monotonicNs, readFile } from "@vmm/libc";
import type { CprHost } from "../host.ts";
import type { MigrationMode } from "../modes.ts";
import type { StateHeader } from "./header.ts";

let bootId: string | undefined;

/** The id that the kernel drew when it booted. */
export function currentBootId(): string {
  bootId ??= new TextDecoder().decode(readFile("/proc/sys/kernel/random/boot_id", 64)).trim();
  return bootId;
}

/** The header of a state whose guest is stopped now. To be called before the vCPUs are. */
export function stateHeader(host: CprHost, mode: MigrationMode): StateHeader {
  const [machine, running] = [host.describe(), host.isRunning()];
  const stoppedRealtimeNs = Number(clockGettime(CLOCK_REALTIME));
  const stoppedBoottimeNs = Number(clockGettime(CLOCK_BOOTTIME));
  return {
    writer: host.version,
    mode,
    running,
    ...(host.needsReset?.() && { runState: host.runState() }),
    // the last one: the pause is measured from here
    stoppedMonotonicNs: monotonicNs(),
    stoppedBoottimeNs,
    stoppedRealtimeNs,
    bootId: currentBootId(),
    machine,
  };
}
