import { isClaimed, type VmPaths } from "@vmm/vmm/config/index.ts";
import { CliError } from "../cli-error.ts";

const POLL_MS = 5;

/** Waits until no process holds the VM's folder any more. @throws CliError after `timeoutMs`. */
export async function awaitEnd(vm: { name: string; paths: VmPaths }, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (isClaimed(vm.paths)) {
    if (performance.now() > deadline) {
      throw new CliError(`the VM "${vm.name}" has not ended within ${timeoutMs / 1000} s`);
    }
    await Bun.sleep(POLL_MS);
  }
}
