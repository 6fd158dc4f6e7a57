/**
 * The new command's answer to a preflight: could this program, on this host, load that state and run? It builds all that
 * an update would build except what the live guest is using, and touches no fd that it was given.
 */
import {
  type DecodedState,
  loadRecord,
  matchRecords,
  type PreflightRequest,
  reasonOf,
  type SavedRecord,
} from "@vmm/cpr";
import type { VmConfig } from "../config/vm-config.ts";
import { ControlBlock } from "../machine/control-block.ts";
import { createAccelVm } from "../machine/create-accel-vm.ts";
import { DeviceHost } from "../machine/device-host.ts";
import { isAccelRecord } from "../machine/machine-state.ts";
import { importPlugins } from "../machine/plugins.ts";
import { VERSION } from "../version.ts";

type Blocks = { what: string; reason: string }[];

/** Notes what fails instead of throwing it, so that the report names everything at once. */
function attempt<T>(blocks: Blocks, what: string, step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    blocks.push({ what, reason: reasonOf(error) });
    return undefined;
  }
}

/** Loads every device record into devices of this version, as the update would. */
function checkDevices(blocks: Blocks, config: VmConfig, records: readonly SavedRecord[]): readonly string[] {
  const host = attempt(
    blocks,
    "devices",
    () =>
      new DeviceHost({
        role: "main",
        config,
        control: new ControlBlock(),
        setIrqLevel: () => {},
        requested: () => {},
      }),
  );
  if (!host) return [];
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

/** Makes a VM of the same shape, and lets it look at the state. */
function checkAccelerator(blocks: Blocks, config: VmConfig, records: readonly SavedRecord[]): void {
  const vm = attempt(blocks, "accelerator", () => createAccelVm(config));
  if (!vm) return;
  const saved = records.filter(isAccelRecord).map((record) => [record.name, record] as const);
  blocks.push(...vm.check(new Map(saved)));
  vm.close();
}

/** Memory that is to be taken over must be there: making it anew would lose the guest. */
function checkMemory(blocks: Blocks, config: VmConfig, request: PreflightRequest): void {
  if (config.memory.backend !== "file" && request.fds.findFd(config.memory.id, 0) === undefined) {
    blocks.push({ what: config.memory.id, reason: "no fd of this memory backend was handed over" });
  }
}

/** @param readConfig Reads the configuration that the new command was given. */
export async function answerPreflight(request: PreflightRequest, readConfig: () => VmConfig): Promise<void> {
  const blocks: Blocks = [];
  let warnings: readonly string[] = [];
  const config = attempt(blocks, "configuration", readConfig);
  const state = attempt<DecodedState>(blocks, "state", () => request.load());
  if (config && state) {
    await importPlugins(config.plugins).catch((error) =>
      blocks.push({ what: "plugins", reason: reasonOf(error) }),
    );
    warnings = checkDevices(blocks, config, state.records);
    checkAccelerator(blocks, config, state.records);
    checkMemory(blocks, config, request);
  }
  request.answer({ version: VERSION, blocks, warnings });
  process.exit(0);
}
