/** The folder from which relative paths lead. All threads share it. */
import { check, checkFd } from "./check.ts";
import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { E } from "./uapi/errno.ts";

/** PATH_MAX of `linux/limits.h`. */
const PATH_MAX = 4096;

/** Goes to the folder that `fd` has open, be it with O_PATH, wherever it is by now. */
export function fchdir(fd: number): void {
  checkFd("fchdir", libc.fchdir(fd), fd);
}

/** Where we are; `undefined` where that folder has been removed. */
export function getcwd(): string | undefined {
  const path = Buffer.alloc(PATH_MAX);
  if (libc.getcwd(path, PATH_MAX) !== 0) return path.toString("utf8", 0, path.indexOf(0));
  if (errno() !== E.ENOENT) check("getcwd", -1, "this process");
  return undefined;
}
