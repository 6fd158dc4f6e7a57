/**
 * The new command's answer to a preflight: could this program, on this host, load that state and run? It builds all that
 * an update would build except what the live guest is using, and touches no fd that it was given.
 */
import { type DecodedState, type PreflightRequest, reasonOf } from "@vmm/cpr";
import type { VmConfig } from "../config/vm-config.ts";
import { ControlBlock } from "../machine/control-block.ts";
import { createAccelVm } from "../machine/create-accel-vm.ts";
import { DeviceHost } from "../machine/device-host.ts";
import { checkHeadroom } from "../machine/headroom.ts";
import { importPlugins } from "../machine/plugins.ts";
import { VERSION } from "../version.ts";
import {
  attempt,
  type Blocks,
  checkAccelerator,
  checkDevices,
  checkLockedMemory,
  checkMemory,
} from "./check-state.ts";

/** The devices of this version, without a guest. */
function makeDevices(config: VmConfig): DeviceHost {
  const control = new ControlBlock();
  return new DeviceHost({ role: "main", config, control, setIrqLevel: () => {}, requested: () => {} });
}

export interface NewVmm {
  /** Reads the configuration that the new command was given. */
  readConfig(): VmConfig;
  /** Imports what it does once the guest runs. */
  importRest(): Promise<unknown>;
}

export async function answerPreflight(
  request: PreflightRequest,
  { readConfig, importRest }: NewVmm,
): Promise<void> {
  const blocks: Blocks = [];
  let warnings: readonly string[] = [];
  const config = attempt(blocks, "configuration", readConfig);
  const state = attempt<DecodedState>(blocks, "state", () => request.load());
  if (config && state) {
    await importPlugins(config.plugins).catch((error) =>
      blocks.push({ what: "plugins", reason: reasonOf(error) }),
    );
    await importRest().catch((error) => blocks.push({ what: "program", reason: reasonOf(error) }));
    const host = attempt(blocks, "devices", () => makeDevices(config));
    if (host) warnings = checkDevices(blocks, host, state.records);
    const vm = attempt(blocks, "accelerator", () => createAccelVm(config));
    if (vm) checkAccelerator(blocks, vm, state.records);
    attempt(blocks, "limits", () => checkHeadroom(config.cpus));
    vm?.close();
    checkMemory(blocks, config, request.fds);
    checkLockedMemory(blocks, request.state.lockedBytes);
  }
  request.answer({ version: VERSION, blocks, warnings });
  process.exit(0);
}
