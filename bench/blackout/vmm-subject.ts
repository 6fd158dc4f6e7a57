/** This VMM with its built-in heartbeat guest. */
import { vmPaths } from "@vmm/vmm/config/runtime-folder.ts";
import { resolveImage } from "@vmm/vmm/image/index.ts";
import { atExit } from "../lib/at-exit.ts";
import { goFirst } from "../lib/priority.ts";
import { findFd } from "../lib/proc.ts";
import { runVmm, VMM, Workspace } from "../lib/vmm.ts";
import { ownReport, updateByQmp } from "./qmp-update.ts";
import type { AwaitPause, OwnReport, Subject, SubjectKind, SubjectOptions } from "./subject.ts";

const NAME = "bench";
const QUIT_MS = 10_000;

type Update = (awaitPause: AwaitPause) => Promise<OwnReport>;

export type Mode = "cpr-exec" | "cpr-transfer";

function startArguments({ memory, cpus, touch }: SubjectOptions): string[] {
  const backend = `size=${memory},backend=memfd,share=on,prealloc=${touch ? "on" : "off"}`;
  return ["--name", NAME, "--guest", "heartbeat", "--memory", backend, "--cpus", `${cpus}`];
}

async function startVmm(mode: Mode, options: SubjectOptions): Promise<Subject> {
  const workspace = new Workspace();
  const quit = atExit(() => quitNow(workspace));
  try {
    const started = JSON.parse(await runVmm(workspace, ["start", ...startArguments(options), "--json"])) as {
      pid: number;
    };
    // its session is its own
    if (options.first) goFirst(started.pid);
    const ram = findFd(started.pid, "/memfd:ram0");
    if (!ram) throw new Error("the guest's RAM was not found among the VMM's fds");
    return {
      name: "vmm",
      ram,
      cpus: options.cpus,
      update: await updateIn(mode, workspace),
      async close() {
        quit();
        workspace[Symbol.dispose]();
      },
    };
  } catch (error) {
    quit();
    workspace[Symbol.dispose]();
    throw error;
  }
}

function quitNow(workspace: Workspace): void {
  Bun.spawnSync([...VMM, "quit", NAME], { env: workspace.env, timeout: QUIT_MS });
}

/** By the command that started the VM. */
async function updateIn(mode: Mode, workspace: Workspace): Promise<Update> {
  const paths = vmPaths(workspace.vmFolder(NAME));
  const command = [...(await resolveImage()).argv, "--config", paths.config];
  return async (awaitPause) => ownReport(await updateByQmp({ socket: paths.qmp, command, mode }, awaitPause));
}

export const vmmKind = (mode: Mode): SubjectKind => ({
  name: mode === "cpr-exec" ? "vmm" : "vmm, transfer",
  unavailable: () => undefined,
  start: (options) => startVmm(mode, options),
});
