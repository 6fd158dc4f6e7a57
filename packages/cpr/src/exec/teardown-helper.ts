/**
 * The teardown helper keeps exec short. exec has to tear down the old address space, which costs about 15 ms per GiB of
 * touched 4 KiB pages, unless another process shares it: then the cost falls on that process when it ends, while the
 * guest runs.
 *
 * The helper is a process made by clone(CLONE_VM) that runs libc's `sleep`. It has copies of all our fds, the old VM's
 * among them, so the VM's page tables are torn down off the clock as well. It ends by itself after 30 s in case that
 * everybody who could end it is gone.
 */
import {
  cloneVm,
  kill,
  munmap,
  SIG_BLOCK,
  SIG_SETMASK,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGPWR,
  SIGSEGV,
  SIGTRAP,
  SignalSet,
  sigmask,
  symbolAddress,
  waitpid,
} from "@vmm/libc";
import type { UndoLog } from "../undo-log.ts";

const SLEEP_SECONDS = 30;
const STACK_BYTES = 64 * 1024;

/** Signals that must reach the thread that they are meant for: faults, and the JavaScript engine's own. */
const NEVER_BLOCKED = [SIGPWR, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP];

/**
 * Starts the helper, and notes how to end it again.
 *
 * @returns Its pid: a child, to be killed and reaped by whoever goes on in this process.
 */
export function startTeardownHelper(undo: UndoLog): number {
  // Our signal handlers are JavaScript's. The helper must run none of them: it inherits a mask that blocks what can be.
  const mask = sigmask(SIG_BLOCK, SignalSet.allExcept(NEVER_BLOCKED));
  try {
    const helper = cloneVm(symbolAddress("sleep"), SLEEP_SECONDS, STACK_BYTES);
    undo.push("start teardown helper", () => {
      kill(helper.pid, SIGKILL);
      waitpid(helper.pid);
      munmap(helper.stack, helper.stackBytes);
    });
    return helper.pid;
  } finally {
    sigmask(SIG_SETMASK, mask);
  }
}
