/**
 * What a successor does before the guest stops: looks at the state that it will get, and goes through the loading of it,
 * so that all that code has run and all that memory has been touched.
 */
import type { DecodedState, PreflightReport, SavedRecord, TransferIncoming } from "@vmm/cpr";
import type { VmConfig } from "../config/vm-config.ts";
import type { DeviceHost } from "../machine/device-host.ts";
import type { Machine } from "../machine/machine.ts";
import { finishLoad, loadDeviceState, recordsByName } from "../machine/machine-state.ts";
import { rehearsedHost } from "../machine/rehearsed-host.ts";
import { VERSION } from "../version.ts";
import {
  attempt,
  type Blocks,
  checkAccelerator,
  checkDevices,
  checkLockedMemory,
  checkMemory,
} from "./check-state.ts";
import { restoreTime } from "./restore-time.ts";

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
    checkLockedMemory(blocks, guest.lockedBytes);
  }
  if (blocks.length === 0) attempt(blocks, "rehearsal", () => warmUp(machine, config, guest));
  return { ok: blocks.length === 0, version: VERSION, blocks, warnings };
}

function warmUp(machine: Machine, config: VmConfig, guest: TransferIncoming): void {
  const devices = new RehearsedDevices(config);
  const { header } = guest.preview();
  // as they came from KVM: what the preview has of them has no contents
  const processors = recordsByName(machine.vm.save());
  const deadline = performance.now() + REHEARSAL_MS;
  for (let i = 0; i < REHEARSALS && performance.now() < deadline; i++) {
    devices.load(guest.rehearse().records);
    machine.vm.restore(processors, restoreTime(header));
  }
  machine.stayAwake();
  machine.awaitRunning();
  // so that the garbage collector has no reason to come in the pause
  Bun.gc(true);
}

class RehearsedDevices {
  readonly #host: DeviceHost;
  readonly #names: ReadonlySet<string>;

  constructor(config: VmConfig) {
    this.#host = rehearsedHost(config, "main");
    this.#names = new Set(this.#host.arena.records().map(({ name }) => name));
  }

  /** Loads them and lets them go on, up to where the vCPUs would run. */
  load(records: readonly SavedRecord[]): void {
    loadDeviceState(
      this.#host,
      records.filter(({ name }) => this.#names.has(name)),
    );
    finishLoad(this.#host);
    this.#host.lock.with(() => {
      for (const device of this.#host.devices) device.resume?.();
    });
    for (const device of this.#host.devices) device.pause?.();
  }
}
