/** Which thread runs first (sched(7)). */
import { check } from "./check.ts";
import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { type BatchCall, SYS } from "./syscall-batch.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";
import { O_CLOEXEC, O_WRONLY } from "./uapi/fcntl.ts";
import { PRIO_PGRP, PRIO_PROCESS, SCHED_FIFO, SCHED_OTHER, SCHED_RESET_ON_FORK } from "./uapi/sched.ts";

/** The nice value of what gets a tenth of the time of an ordinary process where both want it. */
const NICE_BEHIND = 10;

/** Bytes of a `cpu_set_t` that holds as many processors as Linux has. */
const CPU_SET = 1024;

/** The policy of a thread (SCHED_*), perhaps with SCHED_RESET_ON_FORK; 0 is the calling thread. */
export function schedulingPolicy(tid = 0): number {
  return check("sched_getscheduler", libc.sched_getscheduler(tid), `thread ${tid}`);
}

/**
 * Lets a thread run before all ordinary ones, at once when it can run: for a moment that must be short, never for long.
 * Threads and processes that it starts are ordinary.
 *
 * @param tid The thread, 0 for the calling one.
 * @param priority 1 to 99.
 * @returns What ends that; `undefined` where the thread is not an ordinary one, or this process may not.
 */
export function runFirst(tid = 0, priority = 1): (() => void) | undefined {
  if ((schedulingPolicy(tid) & ~SCHED_RESET_ON_FORK) !== SCHED_OTHER) return undefined;
  if (!setPolicy(tid, SCHED_FIFO | SCHED_RESET_ON_FORK, priority)) return undefined;
  return () => runOrdinarily(tid);
}

/** What `runFirst` does, for a list of system calls, and what ends it. */
export interface RunFirst {
  readonly call: BatchCall;
  end(): void;
}

/** `undefined` where the thread is not an ordinary one. The call may fail, where this process may not: see `mayRunFirst`. */
export function runFirstLater(tid: number, priority = 1): RunFirst | undefined {
  if ((schedulingPolicy(tid) & ~SCHED_RESET_ON_FORK) !== SCHED_OTHER) return undefined;
  const args = [tid, SCHED_FIFO | SCHED_RESET_ON_FORK, Int32Array.of(priority)];
  return { call: { number: SYS.sched_setscheduler, args, mayFail: true }, end: () => runOrdinarily(tid) };
}

/** Whether this process may let the calling thread run first. */
export function mayRunFirst(priority = 1): boolean {
  const end = runFirst(0, priority);
  end?.();
  return end !== undefined;
}

/** Ends what `runFirst` began, from whichever thread. */
export function runOrdinarily(tid = 0): void {
  // only the privileged may take the flag away again
  if (!setPolicy(tid, SCHED_OTHER, 0)) setPolicy(tid, SCHED_OTHER | SCHED_RESET_ON_FORK, 0);
}

/**
 * Lets processes that were just started stand back behind others, for good: only the privileged could take it back. A
 * session of its own counts as a whole where the kernel groups by sessions (sched(7), autogroup), so that does, too. Does
 * what it can: where all have ended already there is nothing to do.
 *
 * @param group Their process group, which is a session.
 */
export function runBehind(group: number): void {
  setNice(group, NICE_BEHIND, NICE_BEHIND);
}

/**
 * The same for a while.
 *
 * @returns What ends that, so that they are as this process is; `undefined` where it may not: then nothing has changed.
 */
export function standBack(group: number): (() => void) | undefined {
  const nice = libc.getpriority(PRIO_PROCESS, 0);
  if (!mayRaise(nice)) return undefined;
  runBehind(group);
  return () => setNice(group, nice, 0);
}

/** Whether a process of ours may be given a lower nice value. Not to be seen by its capabilities: a container's don't count. */
function mayRaise(nice: number): boolean {
  if (libc.setpriority(PRIO_PROCESS, 0, nice - 1) !== 0) return false;
  libc.setpriority(PRIO_PROCESS, 0, nice);
  return true;
}

function setNice(group: number, nice: number, autogroup: number): void {
  libc.setpriority(PRIO_PGRP, group, nice);
  const fd = libc.open(`/proc/${group}/autogroup`, O_WRONLY | O_CLOEXEC, 0);
  if (fd === -1) return;
  const text = new TextEncoder().encode(String(autogroup));
  libc.write(fd, text, text.length);
  libc.close(fd);
}

/** The processors on which a thread may run, ascending; none where the thread has ended. 0 is the calling thread. */
export function processorsOf(tid = 0): number[] {
  const set = processorSet([]);
  if (libc.sched_getaffinity(tid, CPU_SET, set) !== 0) return [];
  const processors: number[] = [];
  set.forEach((byte, i) => {
    for (let cpu = 8 * i, rest = byte; rest !== 0; cpu++, rest >>= 1) if (rest & 1) processors.push(cpu);
  });
  return processors;
}

/**
 * Keeps threads that sleep apart for when they wake up: each to one of the processors on which this thread may run, in turn;
 * that on which it runs now comes last. The kernel wakes several at once on the same processor, one behind the other, though
 * another may have nothing to do.
 *
 * @returns What lets all run on any of those processors again. Neither is an error of a thread that has ended.
 */
export function keepApart(tids: readonly number[]): () => void {
  const processors = processorsOf();
  const all = processorSet(processors);
  const here = processors.indexOf(libc.sched_getcpu());
  tids.forEach((tid, i) => {
    const own = processors[(here + 1 + i) % processors.length];
    if (own !== undefined) libc.sched_setaffinity(tid, CPU_SET, processorSet([own]));
  });
  return () => {
    if (processors.length > 0) for (const tid of tids) libc.sched_setaffinity(tid, CPU_SET, all);
  };
}

function processorSet(processors: readonly number[]): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(CPU_SET);
  for (const cpu of processors) set[cpu >> 3] = (set[cpu >> 3] as number) | (1 << (cpu & 7));
  return set;
}

/** False where it is not permitted, or the thread has ended. */
function setPolicy(tid: number, policy: number, priority: number): boolean {
  if (libc.sched_setscheduler(tid, policy, Int32Array.of(priority)) === 0) return true;
  const error = errno();
  if (error === E.EPERM || error === E.ESRCH) return false;
  throw new SyscallError("sched_setscheduler", error, `thread ${tid}`);
}
