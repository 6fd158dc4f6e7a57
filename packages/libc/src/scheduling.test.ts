import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  keepApart,
  mayRunFirst,
  processorsOf,
  runBehind,
  runFirst,
  runFirstLater,
  SCHED_FIFO,
  SCHED_OTHER,
  SCHED_RESET_ON_FORK,
  SyscallList,
  schedulingPolicy,
  standBack,
} from "./index.ts";

const undo: (() => void)[] = [];
afterEach(() => {
  for (const end of undo.splice(0)) end();
});

test("a thread runs first until that ends, where it may; its children never do", () => {
  expect(schedulingPolicy()).toBe(SCHED_OTHER);
  const end = runFirst();
  // without CAP_SYS_NICE and a limit for it
  if (!end) return;
  undo.push(end);
  expect(schedulingPolicy()).toBe(SCHED_FIFO | SCHED_RESET_ON_FORK);
  expect(runFirst()).toBeUndefined();
  const child = Bun.spawnSync(["cat", "/proc/self/stat"]).stdout.toString();
  const policy = child.slice(child.lastIndexOf(")") + 2).split(" ")[38];
  expect(policy).toBe(String(SCHED_OTHER));
  end();
  expect(schedulingPolicy() & ~SCHED_RESET_ON_FORK).toBe(SCHED_OTHER);
});

test.skipIf(!mayRunFirst(3))("the same by a list of system calls (needs CAP_SYS_NICE)", () => {
  const later = runFirstLater(0, 3);
  if (!later) throw new Error("this thread is no ordinary one");
  undo.push(later.end);
  expect(schedulingPolicy() & ~SCHED_RESET_ON_FORK).toBe(SCHED_OTHER);
  expect(new SyscallList([later.call]).make()).toBe(true);
  expect(schedulingPolicy()).toBe(SCHED_FIFO | SCHED_RESET_ON_FORK);
  // a thread that runs first already is not for it
  expect(runFirstLater(0)).toBeUndefined();
  expect(mayRunFirst()).toBe(false);
  later.end();
  expect(schedulingPolicy() & ~SCHED_RESET_ON_FORK).toBe(SCHED_OTHER);
});

test("what is no thread is told", () => {
  expect(() => runFirst(2 ** 30)).toThrow("ESRCH");
});

describe("a process that is to stand back", () => {
  let child: Bun.Subprocess;
  beforeEach(() => {
    child = Bun.spawn(["sleep", "100"], { detached: true });
  });
  afterEach(async () => {
    child.kill(9);
    await child.exited;
  });
  const niceOf = async ({ pid }: Bun.Subprocess): Promise<number> => {
    const stat = await Bun.file(`/proc/${pid}/stat`).text();
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  };
  const ours = async () => niceOf({ pid: process.pid } as Bun.Subprocess);

  test("does, for good", async () => {
    runBehind(child.pid);
    expect(await niceOf(child)).toBe(10);
  });

  test("does for a while, where that can be ended", async () => {
    const before = await ours();
    const end = standBack(child.pid);
    expect(await niceOf(child)).toBe(end ? 10 : before);
    end?.();
    expect(await niceOf(child)).toBe(before);
    expect(await ours()).toBe(before);
  });

  test("can be kept to one processor of ours, and let go again", () => {
    const ours = processorsOf();
    expect(ours.length).toBeGreaterThan(0);
    expect(processorsOf(child.pid)).toEqual(ours);
    const letMove = keepApart([child.pid]);
    const [own, ...others] = processorsOf(child.pid);
    expect([ours.includes(own as number), others]).toEqual([true, []]);
    letMove();
    expect(processorsOf(child.pid)).toEqual(ours);
  });

  test("may have ended", async () => {
    child.kill(9);
    await child.exited;
    runBehind(child.pid);
    standBack(child.pid)?.();
    keepApart([child.pid])();
    expect(processorsOf(child.pid)).toEqual([]);
  });
});
