/** Opening a file that may have a state in it. */
import { close, fstat, O_CLOEXEC, O_NONBLOCK, O_RDONLY, open } from "@vmm/libc";
import { CprError } from "./cpr-error.ts";

/**
 * The fd of the file, to be read from any place in it.
 *
 * @throws SyscallError, or CprError `save` where it is something else than a file, without its path.
 */
export function openStateFile(path: string): number {
  // whoever opens a pipe to read would wait for a writer
  const fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const { kind } = fstat(fd);
  if (kind === "file") return fd;
  close(fd);
  throw new CprError("save", kind === "directory" ? "that is a folder" : `that is a ${kind}, not a file`);
}
