/** Memory that a process keeps from being swapped out or moved: by mlock(2), or pinned for devices that write to it. */
import { readFile } from "./path.ts";
import { getrlimit } from "./rlimit.ts";

/** Its bit among the capabilities (linux/capability.h). */
const CAP_IPC_LOCK = 14n;

const statusField = (name: string): string => {
  const status = new TextDecoder().decode(readFile("/proc/self/status"));
  return new RegExp(`^${name}:\\s*(\\w+)`, "m").exec(status)?.[1] ?? "0";
};

/** How much this process keeps so (bytes), as the kernel counts it against the limit. */
export const lockedMemory = (): number =>
  1024 * (Number(statusField("VmLck")) + Number(statusField("VmPin")));

/** How much it may (bytes): RLIMIT_MEMLOCK, which does not hold for who has CAP_IPC_LOCK. */
export const lockedMemoryLimit = (): number =>
  ((BigInt(`0x${statusField("CapEff")}`) >> CAP_IPC_LOCK) & 1n) === 1n
    ? Number.POSITIVE_INFINITY
    : getrlimit("MEMLOCK").soft;
