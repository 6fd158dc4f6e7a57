/** A VM for the length of a demo. */
import {
  claimFolder,
  isClaimed,
  makeConfig,
  makeRuntimeRoot,
  parseAccel,
  pathsOf,
  removeFolder,
  writeConfig,
} from "@vmm/vmm/config/index.ts";
import { resolveImage } from "@vmm/vmm/image/index.ts";
import { launch, type ReadyReport } from "../start/launch.ts";
import { awaitEnd } from "../vm/await-end.ts";
import type { VmFolder } from "../vm/find-vms.ts";

const MEMORY = 64 * 2 ** 20;
const END_TIMEOUT_MS = 5_000;

export interface DemoVm {
  readonly vm: VmFolder;
  readonly ready: ReadyReport;
  /** Ends it, whatever state it is in, and leaves nothing of it. */
  end(): Promise<void>;
}

/** Starts the heartbeat guest under a name that no other demo has. */
export async function startDemoVm(accel: string): Promise<DemoVm> {
  const name = `demo-${process.pid}`;
  const paths = pathsOf(name);
  const config = makeConfig(
    { guest: "heartbeat", memory: { size: MEMORY }, accel: parseAccel(accel) },
    { name, folder: paths.folder },
  );
  const { argv } = await resolveImage();
  makeRuntimeRoot();
  const claim = claimFolder(paths, name);
  writeConfig(paths.config, config);
  const ready = launch([...argv, "--config", paths.config], claim);
  const vm = { name, paths, alive: true };
  return { vm, ready, end: () => endDemoVm(vm, ready.pid) };
}

function signal(pid: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}

async function endDemoVm(vm: VmFolder, pid: number): Promise<void> {
  for (const name of ["SIGTERM", "SIGKILL"] as const) {
    if (!isClaimed(vm.paths)) break;
    signal(pid, name);
    await awaitEnd(vm, END_TIMEOUT_MS).catch(() => {});
  }
  removeFolder(vm.paths);
}
