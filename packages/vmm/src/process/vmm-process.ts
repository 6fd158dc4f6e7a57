/**
 * A VMM process from its first line to its last: reads the configuration, builds the machine, lets the guest run, and only
 * then loads and starts what people and tools talk to. What is imported here statically is on the way from exec to the
 * first KVM_RUN: keep it small.
 */

import { CPR_TRANSFER_ENV } from "@vmm/cpr/environment";
import { beginIncoming, CprError, FdTable, faultPoint, preflightRequest } from "@vmm/cpr/incoming";
import { getpid, readFile, SyscallError, setCloexec } from "@vmm/libc";
import { blockKickSignal } from "../accel/kvm/index.ts";
import { LOCK_FD_ENV, removeFolder } from "../config/folder-claim.ts";
import { vmPaths } from "../config/runtime-folder.ts";
import type { VmConfig } from "../config/vm-config.ts";
import { Machine } from "../machine/machine.ts";
import { importPlugins } from "../machine/plugins.ts";
import { VmmError } from "../vmm-error.ts";
import { type ProcessArguments, parseArguments } from "./arguments.ts";
import type { Arrival } from "./arrival.ts";
import { qmpListener } from "./control-sockets.ts";
import { tellError, tellReady } from "./ready.ts";
import { takeOver } from "./take-over.ts";

/** Exit status of a VM that could not be started. */
const START_FAILED = 2;

/** `config.json` is our own file, checked when it was written; a broken one is still told in one line. */
export function readConfig(path: string): VmConfig {
  try {
    return JSON.parse(new TextDecoder().decode(readFile(path))) as VmConfig;
  } catch (error) {
    const reason = error instanceof SyscallError ? error.code : "it is not JSON";
    throw new VmmError("config", `cannot read the configuration ${path}: ${reason}`);
  }
}

/** The name of the lock on the VM's folder in the CPR fd table. */
const FOLDER_LOCK = "folder-lock";

/**
 * The lock on the VM's folder, inherited from whoever started us, must live as long as the VM.
 *
 * @returns Whether we are the first process of the VM: then the folder is ours to remove.
 */
function adoptFolderLock(fds: FdTable): boolean {
  const text = process.env[LOCK_FD_ENV];
  delete process.env[LOCK_FD_ENV];
  if (text === undefined || !/^\d+$/.test(text) || fds.findFd(FOLDER_LOCK) !== undefined) return false;
  setCloexec(Number(text), true);
  fds.saveFd(FOLDER_LOCK, 0, Number(text));
  return true;
}

/** Boots the guest from nothing. */
function powerOn(build: () => Machine): Machine {
  const machine = build();
  machine.powerOn();
  machine.startDevices();
  machine.cont();
  return machine;
}

/** Whether the guest comes from elsewhere than the VMM before in this very process. */
const isSent = ({ incoming }: ProcessArguments) =>
  incoming !== undefined || process.env[CPR_TRANSFER_ENV] !== undefined;

/** Builds the machine, from nothing or from what the VMM before left, and lets the guest run. */
async function startGuest(config: VmConfig, arrival: Arrival): Promise<Machine> {
  const { fds } = arrival;
  const first = adoptFolderLock(fds);
  try {
    qmpListener(vmPaths(config.folder).qmp, fds);
    await importPlugins(config.plugins);
    return await arrival.start(() => new Machine(config, fds, arrival.takesOver));
  } catch (error) {
    if (first) removeFolder(vmPaths(config.folder));
    throw error;
  }
}

/** Runs the guest, then all that people and tools talk to. */
async function run(words: readonly string[]): Promise<void> {
  const preflight = preflightRequest(process.env);
  if (preflight) {
    const { answerPreflight } = await import("../migration/answer-preflight.ts");
    return answerPreflight(preflight, {
      readConfig: () => readConfig(parseArguments(words).config),
      // what is imported once the guest runs must be there, too
      importRest: () => Promise.all([import("./control.ts"), import("../qmp/index.ts")]),
    });
  }
  const exec = beginIncoming(process.env);
  let arrival: Arrival = exec
    ? { fds: exec.fds, guest: exec, takesOver: true, start: (build) => takeOver(exec, build) }
    : { fds: new FdTable(), start: powerOn };
  let path: string;
  let machine: Machine;
  try {
    const given = parseArguments(words);
    path = given.config;
    // who is run again is what it was, whatever has become of the file since
    const config = (exec?.configuration as VmConfig | undefined) ?? readConfig(path);
    if (isSent(given)) {
      const { receiveGuest } = await import("./receive-guest.ts");
      arrival = receiveGuest(config, given.incoming, exec);
    }
    machine = await startGuest(config, arrival);
  } catch (error) {
    (arrival.guest ?? exec)?.fallback(error);
    throw error;
  }
  const { warnings, vm } = machine;
  const ready = () => tellReady({ pid: getpid(), accel: vm.name, ...(warnings.length > 0 && { warnings }) });
  try {
    faultPoint("start-control");
    const { startControl } = await import("./control.ts");
    // whoever runs this command again has a guest for it: where this process had its own from is of no account
    await startControl(machine, ["--config", path], arrival, ready);
  } catch (error) {
    if (!arrival.takesOver || arrival.deferred) throw error;
    // nobody else could run it any more
    console.error(`vmm: the guest runs on, and only signals end it: ${describe(error)}`);
    const { endOnSignals } = await import("./end-signals.ts");
    endOnSignals(machine);
  }
}

/** The whole life of a VMM process. */
export async function main(words: readonly string[]): Promise<void> {
  blockKickSignal();
  faultPoint("start");
  try {
    await run(words);
  } catch (error) {
    tellError(describe(error));
    process.exit(START_FAILED);
  }
}

/** Errors that we foresee have a message for people; any other is ours to mend, and is told in full. */
function describe(error: unknown): string {
  if (error instanceof VmmError || error instanceof CprError || error instanceof SyscallError)
    return error.message;
  return error instanceof Error ? String(error.stack) : String(error);
}
