import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { CHECKOUT } from "./checkout.ts";
import { LabError } from "./errors.ts";

/** Where the lab's kernel may stand, the most particular place first. */
function candidates(env: NodeJS.ProcessEnv): string[] {
  const cache = env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return [join(CHECKOUT, "../shared/lab/bzImage"), join(cache, "vmm/lab/bzImage")];
}

/**
 * The kernel of the lab, which is also the guest's kernel in there: `VMM_LAB_KERNEL`, else one beside
 * the checkout, else the one that `tests/lab/build-kernel` leaves in the cache. Inside the lab it is the
 * kernel that runs there.
 *
 * @returns the absolute path of a bzImage
 */
export function findLabKernel(env: NodeJS.ProcessEnv = process.env): string {
  const named = env.VMM_LAB_KERNEL;
  if (named) {
    if (!existsSync(named)) throw new LabError("unavailable", `no kernel at VMM_LAB_KERNEL=${named}`);
    return resolve(named);
  }
  const found = candidates(env).find((path) => existsSync(path));
  if (found) return found;
  throw new LabError(
    "unavailable",
    "no kernel for the lab: set VMM_LAB_KERNEL to a bzImage, or make one with tests/lab/build-kernel",
  );
}
