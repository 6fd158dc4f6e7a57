/**
 * The teardown helper keeps exec short. exec has to tear down the old address space, which costs about 15 ms per GiB of
 * touched 4 KiB pages, unless another process shares it: then the cost falls on that process when it ends, while the
 * guest runs.
 *
 * The helper is a process made by clone(CLONE_VM) that closes its copies of our fds, but for those whose last close takes
 * long as well, and sleeps. It ends by itself after 30 s in case that everybody who could end it is gone.
 */
import {
  addressOf,
  batchSize,
  cloneVm,
  closeAllBut,
  encodeBatch,
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
  SYS,
  sigmask,
  timespec,
  waitpid,
  walkCode,
} from "@vmm/libc";
import type { UndoLog } from "../undo-log.ts";

const SLEEP_NS = 30e9;
const STACK_BYTES = 64 * 1024;

/** Signals that must reach the thread that they are meant for: faults, and the JavaScript engine's own. */
const NEVER_BLOCKED = [SIGPWR, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP];

/** The helper's life. It lies in our memory, which outlives an exec with the helper. */
function lifeOf(keep: readonly number[]): { readonly calls: unknown; readonly batch: ArrayBuffer } {
  const calls = [...closeAllBut(keep), { number: SYS.nanosleep, args: [timespec(SLEEP_NS).$view] }];
  const batch = new ArrayBuffer(batchSize(calls.length));
  encodeBatch(calls, { buffer: batch, offset: 0, address: addressOf(batch) });
  return { calls, batch };
}

/**
 * Starts the helper, and notes how to end it again.
 *
 * @param keep The fds that it keeps open.
 * @returns Its pid: a child, to be killed and reaped by whoever goes on in this process.
 */
export function startTeardownHelper(undo: UndoLog, keep: readonly number[] = []): number {
  let life: ReturnType<typeof lifeOf> | undefined = lifeOf(keep);
  // Our signal handlers are JavaScript's. The helper must run none of them: it inherits a mask that blocks what can be.
  const mask = sigmask(SIG_BLOCK, SignalSet.allExcept(NEVER_BLOCKED));
  try {
    const helper = cloneVm(walkCode(), addressOf(life.batch), STACK_BYTES);
    undo.push("start teardown helper", () => {
      kill(helper.pid, SIGKILL);
      waitpid(helper.pid);
      munmap(helper.stack, helper.stackBytes);
      life = undefined;
    });
    return helper.pid;
  } finally {
    sigmask(SIG_SETMASK, mask);
  }
}
