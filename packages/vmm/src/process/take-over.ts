/**
 * Taking over a guest from the VMM process before: load its state, win the commit, run. Whatever fails before the commit
 * ends in the old command, with the guest as it was; see `Incoming.fallback`.
 */

import type { DecodedState, Incoming, IncomingGuest, SavedRecord, StateHeader } from "@vmm/cpr";
import { faultPoint } from "@vmm/cpr/incoming";
import { monotonicNs } from "@vmm/libc";
import type { AdoptedVcpus } from "../accel/accelerator.ts";
import { checkHeadroom } from "../machine/headroom.ts";
import { Hurry, letBegin, REST_CALL } from "../machine/hurry.ts";
import type { Machine } from "../machine/machine.ts";
import { accelRecords, finishLoad, loadDeviceState } from "../machine/machine-state.ts";
import { restoreTime } from "../migration/restore-time.ts";
import { needsReset } from "../run-state/index.ts";

/** Loads records into a machine that was just built. Warnings go to the log. */
export function loadState(machine: Machine, header: StateHeader, records: readonly SavedRecord[]): void {
  const time = restoreTime(header);
  machine.load(records, time);
  for (const warning of machine.warnings) console.error(`vmm: ${warning}`);
  if (!time.sameBoot) machine.continueClock(header.stoppedMonotonicNs, time.elapsedNs);
}

/** Loads the devices, and finds the vCPUs that have run on since they were saved, if any did. */
function adoptVcpus(machine: Machine, records: readonly SavedRecord[]): AdoptedVcpus | undefined {
  const adopted = machine.vm.adopt(accelRecords(records), machine.fds);
  if (!adopted) return undefined;
  for (const warning of loadDeviceState(machine.host, records)) console.error(`vmm: ${warning}`);
  return adopted;
}

/** Takes the vCPUs from the agents that run them: all that takes long has been done by now. */
function switchOver(incoming: Incoming, machine: Machine, adopted: AdoptedVcpus): void {
  faultPoint("start-devices");
  machine.startDevices();
  adopted.rehearse(REST_CALL);
  incoming.prepareCommit();
  const waiting = machine.prepareResume();
  const targets = machine.exitTargets();
  // who is held here holds up the guest; see `Hurry`
  const hurry = new Hurry().main().bridge(waiting);
  incoming.phases.begin("switch");
  try {
    adopted.hold();
    faultPoint("restore-vm");
    adopted.load();
    finishLoad(machine.host);
    adopted.settle(targets);
    // the last thing that can fail
    incoming.commit();
  } catch (error) {
    hurry.end();
    adopted.letGo();
    throw error;
  }
  faultPoint("committed");
  // all else can wait, but for what the guest has asked for meanwhile, which nobody may overtake
  if (!machine.control.requested) waiting.start();
  const runNs = monotonicNs();
  letBegin();
  hurry.end();
  machine.cont();
  void incoming.afterRun(runNs, adopted.standstills(runNs), adopted.release());
  // the guest ran all along: a `stop` that came while it was awaited has not reached it
  if (machine.autostart === false) machine.stop();
}

/**
 * Runs the guest under this process. After the commit nothing here may fail for a reason that could have been known
 * before.
 */
export function takeOver(incoming: Incoming, build: () => Machine): Machine {
  incoming.phases.begin("decode");
  const { header, records } = incoming.load();
  incoming.phases.begin("build");
  faultPoint("build");
  const machine = build();
  machine.runState.set("inmigrate");
  incoming.phases.begin("load");
  checkHeadroom(machine.config.cpus);
  const adopted = adoptVcpus(machine, records);
  if (adopted) {
    switchOver(incoming, machine, adopted);
    return machine;
  }
  goOn(incoming, machine, { header, records });
  return machine;
}

/** What is called around the moment from which on the guest runs again. */
export interface RunHooks {
  /** The vCPUs have been told to run: returns when they do. */
  awaitRunning(): void;
  /** They do, and devices have resumed. */
  running(): void;
}

/** Goes on with a guest that was stopped. */
export function goOn(
  incoming: IncomingGuest,
  machine: Machine,
  { header, records }: DecodedState,
  hooks?: RunHooks,
): void {
  incoming.phases.begin("load");
  faultPoint("load-state");
  loadState(machine, header, records);
  faultPoint("start-devices");
  machine.startDevices();
  incoming.phases.begin("resume");
  incoming.commit();
  let runNs = monotonicNs();
  const { runState = "paused" } = header;
  if (needsReset(runState)) machine.runState.set(runState);
  else if (machine.autostart ?? header.running) {
    machine.cont(() => {
      hooks?.awaitRunning();
      runNs = monotonicNs();
    });
    hooks?.running();
  } else machine.runState.set("paused");
  void incoming.afterRun(runNs);
}
