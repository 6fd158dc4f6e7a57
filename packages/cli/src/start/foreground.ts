/** `vmm start --foreground`: this process becomes the VM's, with its pid and its stdio. */
import { execve, setCloexec } from "@vmm/libc";
import { type FolderClaim, LOCK_FD_ENV } from "@vmm/vmm/config/index.ts";
import { vmEnvironment } from "./launch.ts";

/**
 * Becomes the VM's process. Returns only by throwing, with the folder given back.
 *
 * @param argv The image with its arguments.
 */
export function becomeVm(argv: readonly string[], claim: FolderClaim): never {
  try {
    process.chdir(claim.paths.folder);
    setCloexec(claim.lockFd, false);
    execve(argv[0] as string, argv, vmEnvironment({ [LOCK_FD_ENV]: String(claim.lockFd) }));
  } catch (error) {
    claim.release();
    throw error;
  }
}
