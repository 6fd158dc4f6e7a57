/**
 * A VMM process from its first line to its last: reads the configuration, builds the machine, lets the guest run, and only
 * then loads and starts what people and tools talk to. What is imported here statically is on the way from exec to the
 * first KVM_RUN: keep it small.
 */
import { FdTable } from "@vmm/cpr";
import { close, getpid, readFile, SyscallError, setCloexec } from "@vmm/libc";
import { blockKickSignal } from "../accel/kvm/index.ts";
import { LOCK_FD_ENV } from "../config/folder-claim.ts";
import { vmPaths } from "../config/runtime-folder.ts";
import type { VmConfig } from "../config/vm-config.ts";
import { Machine, type MachineEnd } from "../machine/machine.ts";
import { importPlugins } from "../machine/plugins.ts";
import { VmmError } from "../vmm-error.ts";
import { parseArguments } from "./arguments.ts";
import { listeningSocket, QMP_SOCKET } from "./control-sockets.ts";
import { tellError, tellReady } from "./ready.ts";

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

/** The lock on the VM's folder, inherited from whoever started us, must live as long as the VM. */
function adoptFolderLock(fds: FdTable): void {
  const text = process.env[LOCK_FD_ENV];
  delete process.env[LOCK_FD_ENV];
  if (text === undefined || !/^\d+$/.test(text) || fds.findFd("folder-lock", 0) !== undefined) return;
  setCloexec(Number(text), true);
  fds.saveFd("folder-lock", 0, Number(text));
}

/** What `run` leaves running. */
interface Running {
  readonly machine: Machine;
  readonly config: VmConfig;
}

/** Builds the machine and lets the guest run. */
async function startGuest(
  config: VmConfig,
  fds: FdTable,
  ended: (end: MachineEnd) => void,
): Promise<Machine> {
  await importPlugins(config.plugins);
  const machine = new Machine(config, fds, ended);
  machine.powerOn();
  machine.startDevices();
  machine.cont();
  return machine;
}

/** @param words The arguments behind the program. */
async function run(words: readonly string[]): Promise<Running> {
  const { config: path } = parseArguments(words);
  const config = readConfig(path);
  const fds = new FdTable();
  adoptFolderLock(fds);
  listeningSocket(vmPaths(config.folder).qmp, QMP_SOCKET, fds);
  const machine = await startGuest(config, fds, (end) => process.exit(end.status));
  return { machine, config };
}

/** The whole life of a VMM process. */
export async function main(words: readonly string[]): Promise<void> {
  blockKickSignal();
  try {
    const { machine } = await run(words);
    tellReady({ pid: getpid(), accel: machine.vm.name });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    tellError(
      error instanceof VmmError || error instanceof SyscallError ? error.message : String(error.stack),
    );
    process.exit(START_FAILED);
  }
}
