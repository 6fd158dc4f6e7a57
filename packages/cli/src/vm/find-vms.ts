/** The VMs of this user: one folder each, claimed by a lock for as long as the VM lives. */
import {
  checkRuntimeRoot,
  isClaimed,
  isOwnFolder,
  pathsOf,
  readConfig,
  runtimeRoot,
  type VmConfig,
  type VmPaths,
} from "@vmm/vmm/config/index.ts";
import { CliError } from "../cli-error.ts";
import { EXIT } from "../exit-code.ts";

export interface VmFolder {
  readonly name: string;
  readonly paths: VmPaths;
  /** A process holds the folder. Where none does the VM ended without tidying up: it was killed. */
  readonly alive: boolean;
}

/**
 * All VMs by name, those that died included.
 *
 * @throws VmmError `config` where others could have made what looks like one.
 */
export function findVms(root: string = runtimeRoot()): VmFolder[] {
  // where it is missing no VM was ever started
  if (!checkRuntimeRoot(root)) return [];
  const locks = [...new Bun.Glob("*/lock").scanSync({ cwd: root, onlyFiles: false })];
  return locks
    .map((path) => path.slice(0, -"/lock".length))
    .filter((name) => isOwnFolder(`${root}/${name}`))
    .sort()
    .map((name) => {
      const paths = pathsOf(name, root);
      return { name, paths, alive: isClaimed(paths) };
    });
}

const list = (vms: readonly VmFolder[]) => vms.map(({ name }) => name).join(", ");

function onlyOne(alive: readonly VmFolder[]): VmFolder {
  const [vm, ...others] = alive;
  if (!vm) throw new CliError("no VM runs: start one with vmm start", EXIT.noVm);
  if (others.length === 0) return vm;
  throw new CliError(`several VMs run, say which one: ${list(alive)}`, EXIT.usage);
}

/**
 * The VM that the user means: the one they name, else the only one there is.
 *
 * @throws CliError that lists the names there are.
 */
export function selectVm(name: string | undefined, root: string = runtimeRoot()): VmFolder {
  const vms = findVms(root);
  const alive = vms.filter((vm) => vm.alive);
  if (name === undefined) return onlyOne(alive);
  const vm = vms.find((candidate) => candidate.name === name);
  if (vm?.alive) return vm;
  if (vm)
    throw new CliError(`the VM "${name}" is dead: its process was killed (see ${vm.paths.log})`, EXIT.noVm);
  const others = alive.length > 0 ? `; running: ${list(alive)}` : ", and no other: start one with vmm start";
  throw new CliError(`no VM named "${name}" runs${others}`, EXIT.noVm);
}

/** The configuration that the VM was started with. */
export function configOf(vm: VmFolder): VmConfig {
  return readConfig(vm.paths.config);
}
