/** Memory that a process keeps from being swapped out or moved: by mlock(2), or pinned for devices that write to it. */
import { ownStatus } from "./own-status.ts";
import { readFile } from "./path.ts";
import { getrlimit } from "./rlimit.ts";
import { isSyscallError } from "./syscall-error.ts";

/** Its bit among the capabilities (linux/capability.h). */
const CAP_IPC_LOCK = 14n;

/** How much this process keeps so (bytes). The kernel counts some of it apart against the limit: it is this much at most. */
export function lockedMemory(): number {
  const status = ownStatus();
  const kib = (name: string) => Number(status(name) ?? 0);
  return 1024 * (kib("VmLck") + kib("VmPin"));
}

/** How much it may (bytes): RLIMIT_MEMLOCK, which does not hold for who has CAP_IPC_LOCK on the host. */
export const lockedMemoryLimit = (): number =>
  hasIpcLock() && isInFirstUserNamespace() ? Number.POSITIVE_INFINITY : getrlimit("MEMLOCK").soft;

const hasIpcLock = (): boolean => ((BigInt(`0x${ownStatus()("CapEff") ?? 0}`) >> CAP_IPC_LOCK) & 1n) === 1n;

/** Capabilities of a container's own are none on the host. There, all ids are themselves (user_namespaces(7)). */
function isInFirstUserNamespace(): boolean {
  try {
    const map = new TextDecoder().decode(readFile("/proc/self/uid_map"));
    return /^\s*0\s+0\s+4294967295\s*$/.test(map);
  } catch (error) {
    // a kernel without user namespaces has only the one
    if (isSyscallError(error, "ENOENT")) return true;
    throw error;
  }
}
