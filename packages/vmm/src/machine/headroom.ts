/**
 * Whether this process may open and start what it needs once it runs a guest. After the commit there is no way back, so
 * that is found out before: by limits that a new command's wrapper has set, say.
 */
import {
  close,
  EFD_CLOEXEC,
  EFD_SEMAPHORE,
  eventfd,
  eventfdWrite,
  isSyscallError,
  SYS,
  SyscallBatch,
} from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";

/** What the Workers, the reactor and QMP with its first clients take, with some to spare. */
const fdsFor = (vcpus: number): number => 12 + 3 * vcpus;
const threadsFor = (vcpus: number): number => 4 + 2 * vcpus;

/** @throws VmmError `config` */
export function checkHeadroom(vcpus: number): void {
  checkFds(fdsFor(vcpus));
  checkThreads(threadsFor(vcpus));
}

function checkFds(count: number): void {
  const fds: number[] = [];
  try {
    while (fds.length < count) fds.push(eventfd());
  } catch (error) {
    if (!isSyscallError(error, "EMFILE", "ENFILE")) throw error;
    throw new VmmError(
      "config",
      `${count} more open files are needed to run the guest: raise the limit (ulimit -n)`,
    );
  } finally {
    for (const fd of fds) close(fd);
  }
}

/** Threads that are all there at once. */
function checkThreads(count: number): void {
  const gate = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
  const threads: SyscallBatch[] = [];
  try {
    const word = new BigUint64Array(new SharedArrayBuffer(8));
    while (threads.length < count)
      threads.push(new SyscallBatch([{ number: SYS.read, args: [gate, word, word.byteLength] }]));
  } catch (error) {
    if (!isSyscallError(error, "EAGAIN")) throw error;
    throw new VmmError(
      "config",
      `${count} more threads are needed to run the guest: raise the limit (ulimit -u)`,
    );
  } finally {
    if (threads.length > 0) eventfdWrite(gate, BigInt(threads.length));
    for (const thread of threads) thread.join();
    close(gate);
  }
}
