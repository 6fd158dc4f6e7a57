/**
 * The lock on a file with RAM in it: two guests in one file would overwrite each other. It belongs to the open file, so
 * the fd table hands it on with the fd from VMM to VMM, and it ends with the last of them.
 */
import { flock, isSyscallError, LOCK_EX, LOCK_NB, LOCK_SH } from "@vmm/libc";

/** A VM that has ended still has the file for as long as its memory is being torn down. */
const ATTEMPTS = 50;
const PAUSE_MS = 4;

/**
 * Locks the file: for this VM alone where what the guest writes goes there, else along with others that only read it.
 *
 * @returns false where another VM stands in the way.
 */
export function lockFile(fd: number, share: boolean): boolean {
  const operation = (share ? LOCK_EX : LOCK_SH) | LOCK_NB;
  try {
    for (let attempt = 1; !flock(fd, operation); attempt++) {
      if (attempt === ATTEMPTS) return false;
      Bun.sleepSync(PAUSE_MS);
    }
  } catch (error) {
    // a file system without locks: QEMU goes on without them, too
    if (!isSyscallError(error, "ENOLCK", "EOPNOTSUPP", "ENOSYS")) throw error;
  }
  return true;
}
