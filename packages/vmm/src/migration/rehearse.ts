/**
 * What a successor does before the guest stops: looks at the state that it will get, and goes through the loading of it,
 * so that all that code has run and all that memory has been touched.
 */
import type { DecodedState, PreflightReport, TransferIncoming } from "@vmm/cpr";
import type { VmConfig } from "../config/vm-config.ts";
import type { Machine } from "../machine/machine.ts";
import { loadDeviceState, recordsByName } from "../machine/machine-state.ts";
import { VERSION } from "../version.ts";
import { attempt, type Blocks, checkAccelerator, checkDevices, checkMemory } from "./check-state.ts";

/** How often it is gone through at most, and for how long: the just-in-time compiler takes notice of what comes again. */
const REHEARSALS = 60;
const REHEARSAL_MS = 150;

/**
 * @param machine Built, with its threads up; what it holds is of no value yet.
 * @returns What stands in the way of taking the guest over.
 */
export function rehearse(machine: Machine, config: VmConfig, guest: TransferIncoming): PreflightReport {
  const blocks: Blocks = [];
  let warnings: readonly string[] = [];
  const state = attempt<DecodedState>(blocks, "state", () => guest.preview());
  if (state) {
    warnings = checkDevices(blocks, machine.host, state.records);
    checkAccelerator(blocks, machine.vm, state.records);
    checkMemory(blocks, config, guest.fds);
  }
  if (blocks.length === 0) attempt(blocks, "rehearsal", () => warmUp(machine, guest));
  return { ok: blocks.length === 0, version: VERSION, blocks, warnings };
}

function warmUp(machine: Machine, guest: TransferIncoming): void {
  const deadline = performance.now() + REHEARSAL_MS;
  for (let i = 0; i < REHEARSALS && performance.now() < deadline; i++) {
    loadDeviceState(machine, guest.rehearse().records);
    // the processors as they came from KVM: what the preview has of them has no contents
    machine.vm.restore(recordsByName(machine.vm.save()), { elapsedNs: 0, sameBoot: true });
  }
  // so that the garbage collector has no reason to come in the pause
  Bun.gc(true);
}
