/** `vmm start --foreground`: this process becomes the VM's, with its pid and its stdio. */
import { execve, SIG_SETMASK, setCloexec, sigmask } from "@vmm/libc";
import { LOCK_FD_ENV } from "@vmm/vmm/config/index.ts";
import { blockEndSignals, type Place, vmEnvironment } from "./launch.ts";

/**
 * Becomes the VM's process. Returns only by throwing, with the folder given back.
 *
 * @param argv The image with its arguments.
 */
export function becomeVm(argv: readonly string[], { paths, lockFd, release }: Place): never {
  const mask = blockEndSignals();
  try {
    process.chdir(paths.folder);
    if (lockFd !== undefined) setCloexec(lockFd, false);
    const lock = lockFd === undefined ? {} : { [LOCK_FD_ENV]: String(lockFd) };
    execve(argv[0] as string, argv, vmEnvironment(lock));
  } catch (error) {
    sigmask(SIG_SETMASK, mask);
    release();
    throw error;
  }
}
