/** Bringing a file's contents to its device (fsync(2)). */
import { checkFd } from "./check.ts";
import { libc } from "./libc.ts";

const SYS_fsync = 74;

/** Returns once the file's contents, or a directory's names, are on the device: a power cut does not undo them. */
export function fsync(fd: number): void {
  checkFd("fsync", libc.syscall(SYS_fsync, fd, 0, 0, 0, 0, 0), fd);
}
