/** The `vmm` command of this checkout, run in a runtime folder of its own, so that nothing of the user's is touched. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { atExit } from "./at-exit.ts";

/** The folder of this checkout. */
export const ROOT = dirname(dirname(import.meta.dir));

/** The command's words, to which its arguments are added. */
export const VMM: readonly string[] = [process.execPath, join(ROOT, "packages/cli/src/vmm.ts")];

/** A folder for VMs and what they need; gone when it is disposed of. */
export class Workspace {
  readonly folder: string;
  readonly env: Record<string, string | undefined>;
  #remove: () => void;

  /** @param parent Where it is made; the system's folder for temporary files where left out. */
  constructor(parent = tmpdir()) {
    this.folder = mkdtempSync(join(parent, "vmm-bench-"));
    this.env = { ...process.env, XDG_RUNTIME_DIR: this.folder };
    this.#remove = atExit(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** The folder of a VM. */
  vmFolder(name: string): string {
    return join(this.folder, "vmm", name);
  }

  [Symbol.dispose](): void {
    this.#remove();
  }
}

/**
 * Sees to it that a process does not outlive the benchmark.
 *
 * @returns Ends it now.
 */
export const killAtExit = (child: Bun.Subprocess): (() => void) => atExit(() => child.kill("SIGKILL"));

/** Ends a process by SIGTERM, and by SIGKILL where that does not help within `limitMs`. */
export async function endProcess(child: Bun.Subprocess, limitMs = 5000): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  await child.exited;
  clearTimeout(timer);
}

/** Runs the command to its end. @returns What it printed. @throws Error with what it said on stderr. */
export async function runVmm(workspace: Workspace, args: readonly string[]): Promise<string> {
  const child = Bun.spawn([...VMM, ...args], { env: workspace.env, stdin: "ignore", stderr: "pipe" });
  const [output, errors, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(errors.trim() || `vmm ${args.join(" ")} ended with status ${status}`);
  return output;
}
