/** Whether a saved state could be loaded, looked at without loading it for good. */
import { loadRecord, matchRecords, reasonOf, type SavedRecord } from "@vmm/cpr";
import { lockedMemoryLimit } from "@vmm/libc";
import type { AccelVm } from "../accel/accelerator.ts";
import { formatSize } from "../config/size.ts";
import type { VmConfig } from "../config/vm-config.ts";
import type { DeviceHost } from "../machine/device-host.ts";
import { memoryBackends } from "../machine/machine-memory.ts";
import { accelRecords, isAccelRecord } from "../machine/machine-state.ts";
import { checkBrought } from "../memory/index.ts";
import type { BackendFds } from "../memory/memory-backend.ts";

export type Blocks = { what: string; reason: string }[];

/** Notes what fails instead of throwing it, so that the report names everything at once. */
export function attempt<T>(blocks: Blocks, what: string, step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    blocks.push({ what, reason: reasonOf(error) });
    return undefined;
  }
}

/** Loads every device record into devices of this version, as the update would. Returns warnings. */
export function checkDevices(
  blocks: Blocks,
  host: DeviceHost,
  records: readonly SavedRecord[],
): readonly string[] {
  const matched = attempt(blocks, "devices", () =>
    matchRecords(
      records.filter((record) => !isAccelRecord(record)),
      host.arena.records(),
    ),
  );
  for (const { saved, present } of matched?.pairs ?? []) {
    attempt(blocks, saved.name, () => loadRecord(saved, present.schema, host.arena.bytesOf(present)));
  }
  return matched?.warnings ?? [];
}

/** Lets the accelerator look at its part. */
export function checkAccelerator(blocks: Blocks, vm: AccelVm, records: readonly SavedRecord[]): void {
  blocks.push(...vm.check(accelRecords(records)));
}

/** Memory that is to be taken over must be there: making it anew would lose the guest. */
export function checkMemory(blocks: Blocks, config: VmConfig, fds: BackendFds): void {
  for (const backend of memoryBackends(config)) {
    attempt(blocks, backend.id, () => checkBrought(backend, fds));
  }
}

/** What the old VMM keeps locked, the new one must be able to keep. @param bytes Not known where left out. */
export function checkLockedMemory(blocks: Blocks, bytes = 0): void {
  const limit = lockedMemoryLimit();
  if (bytes <= limit) return;
  const reason = `the VMM keeps ${formatSize(bytes)} locked, and this command may lock ${formatSize(limit)}: raise the limit (ulimit -l)`;
  blocks.push({ what: "locked memory", reason });
}
