/** The `vmm` command of this checkout, run in a runtime folder of its own, so that nothing of the user's is touched. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ROOT = dirname(dirname(import.meta.dir));

/** The command's words, to which its arguments are added. */
export const VMM: readonly string[] = [process.execPath, join(ROOT, "packages/cli/src/vmm.ts")];

/** A folder for VMs and what they need; gone when it is disposed of. */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), "vmm-bench-"));
  readonly env = { ...process.env, XDG_RUNTIME_DIR: this.folder };

  path(name: string): string {
    return join(this.folder, name);
  }

  /** The folder of a VM. */
  vmFolder(name: string): string {
    return join(this.folder, "vmm", name);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Ends a process by SIGTERM, and by SIGKILL where that does not help within `limitMs`. */
export async function endProcess(child: Bun.Subprocess, limitMs = 5000): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  await child.exited;
  clearTimeout(timer);
}
