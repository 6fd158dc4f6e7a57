import { isSyscallError, POLLOUT, poll, write } from "@vmm/libc";

/**
 * Writes all bytes to an fd of ours that others may have made non-blocking.
 *
 * @returns false where nobody reads them any more.
 */
export function writeOut(fd: number, bytes: Uint8Array): boolean {
  try {
    for (let done = 0; done < bytes.length; ) {
      const n = write(fd, bytes.subarray(done));
      if (n === undefined) poll(fd, POLLOUT, -1);
      else done += n;
    }
    return true;
  } catch (error) {
    if (isSyscallError(error, "EPIPE", "EIO")) return false;
    throw error;
  }
}
