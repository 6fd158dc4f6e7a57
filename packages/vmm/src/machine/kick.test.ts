import { expect, test } from "bun:test";
import {
  type BatchArgument,
  type BatchCall,
  E,
  getpid,
  monotonicNs,
  SYS,
  SyscallList,
  storeCall,
} from "@vmm/libc";
import type { AccelVcpu } from "../accel/accelerator.ts";
import { ControlBlock } from "./control-block.ts";
import { Kick, NO_CALLS } from "./kick.ts";
import { WANT } from "./vcpu-control.ts";

/** Nobody has this pid. */
const NOBODY = 2 ** 30;

const look = (pid: number): BatchCall => ({ number: SYS.kill, args: [pid, 0] });

/** Threads that are up and run their vCPUs, as far as the control block tells; vcpu-race.ts has real ones. */
function newThreads(count: number) {
  const block = new ControlBlock();
  const threads = Array.from({ length: count }, (_, index) => {
    const control = block.vcpu(index);
    control.tid = 1000 + index;
    control.want("run");
    control.enter("running");
    const interruptCalls = () => [look(getpid())];
    return { vcpu: { index, interruptCalls } as unknown as AccelVcpu, control };
  });
  return { threads, wanted: () => threads.map(({ control }) => control.wanted) };
}

test("all threads are told, and the time is noted", () => {
  const { threads, wanted } = newThreads(3);
  const kick = new Kick(threads, NO_CALLS, false);
  expect(kick.sinceNs).toBeUndefined();
  const before = monotonicNs();
  expect(kick.make()).toBe(true);
  expect(wanted()).toEqual([WANT.pause, WANT.pause, WANT.pause]);
  expect(kick.sinceNs).toBeGreaterThanOrEqual(before);
  expect(kick.sinceNs).toBeLessThanOrEqual(monotonicNs());
});

test("a thread that pauses ends the wait, one that does not is waited for no longer than a moment", () => {
  const { threads } = newThreads(2);
  expect(new Kick(threads, NO_CALLS, true).make()).toBe(true);
  for (const { control } of threads) control.enter("paused");
  expect(new Kick(threads, NO_CALLS, true).make()).toBe(true);
});

test("nobody is told by it where a thread is not up, or came up since", () => {
  const { threads, wanted } = newThreads(2);
  const [, last] = threads;
  if (!last) throw new Error("no thread");
  const kick = new Kick(threads, NO_CALLS, true);
  for (const tid of [0, 4711]) {
    last.control.tid = tid;
    expect(kick.make()).toBe(false);
  }
  last.control.tid = 0;
  expect(new Kick(threads, NO_CALLS, true).make()).toBe(false);
  expect(wanted()).toEqual([WANT.run, WANT.run]);
  expect(kick.sinceNs).toBeUndefined();
});

test("nobody is told where a call before fails, and the time is not noted", () => {
  const { threads, wanted } = newThreads(2);
  const kick = new Kick(threads, { before: [look(NOBODY)], after: [] }, true);
  expect(kick.make()).toBe(false);
  expect(wanted()).toEqual([WANT.run, WANT.run]);
  expect(kick.sinceNs).toBeUndefined();
});

test("a thread that has ended after the look is sent no signal", () => {
  const { threads } = newThreads(1);
  const [thread] = threads;
  if (!thread) throw new Error("no thread");
  const interruptCalls = (tid: BatchArgument) => [{ number: SYS.tgkill, args: [getpid(), tid, 0] }];
  const vcpu = { ...thread.vcpu, interruptCalls } as unknown as AccelVcpu;
  thread.control.tid = getpid();
  expect(new Kick([{ ...thread, vcpu }], NO_CALLS, false).make()).toBe(true);
  const ends = storeCall((thread.control.tidArgument as { wordAt: number }).wordAt, 0);
  expect(new Kick([{ ...thread, vcpu }], { before: [ends], after: [] }, false).make()).toBe(false);
});

test("all are told where a call after fails, which is said", () => {
  const { threads, wanted } = newThreads(2);
  const kick = new Kick(threads, { before: [], after: [look(NOBODY)] }, true);
  expect(kick.make()).toBe(false);
  expect(wanted()).toEqual([WANT.pause, WANT.pause]);
  expect(kick.sinceNs).toBeGreaterThan(0);
});

test("the wait of a list ends at once where the thread has paused", () => {
  const { threads } = newThreads(1);
  const [thread] = threads;
  thread?.control.enter("paused");
  const list = new SyscallList(threads.map(({ control }) => control.awaitPauseCall));
  expect(list.make()).toBe(true);
  expect(list.result(0)).toBe(-E.EAGAIN);
});
