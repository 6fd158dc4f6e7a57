/**
 * The time of the last change of a file in which a saved guest's RAM was left: tells whether anybody has used it since.
 *
 * Writes by way of a mapping change the time only where the file system hears of them: on a disk with the first one after
 * a sync, on a tmpfs perhaps, on a hugetlbfs never. So whoever lets a guest run on the file changes the time as well.
 */
import { fstat, fsync, SyscallError, setModified } from "@vmm/libc";

/** A guest is about to change what the file holds: a state that left its RAM there must not find it again. */
export function ramChanges(fd: number): void {
  try {
    setModified(fd);
  } catch (error) {
    // a file system that lets nobody do that: the samples of the RAM are left to tell
    if (!(error instanceof SyscallError)) throw error;
  }
}

/**
 * The time that stands for what the file holds now, in ns since 1970. No other state has it. The guest is stopped.
 *
 * It is on the device with the next fsync.
 */
export function timeOfRam(fd: number): bigint {
  // what the guest wrote last may count as a change only when it goes to the device
  fsync(fd);
  ramChanges(fd);
  return fstat(fd).modifiedNs;
}
