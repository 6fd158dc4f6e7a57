import { afterEach, expect, test } from "bun:test";
import {
  runBehind,
  runFirst,
  SCHED_FIFO,
  SCHED_OTHER,
  SCHED_RESET_ON_FORK,
  schedulingPolicy,
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

test("what is no thread is told", () => {
  expect(() => runFirst(2 ** 30)).toThrow("ESRCH");
});

test("a process that is to stand back does, and one that has ended is none", async () => {
  const child = Bun.spawn(["sleep", "100"], { detached: true });
  try {
    runBehind(child.pid);
    const stat = await Bun.file(`/proc/${child.pid}/stat`).text();
    expect(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]).toBe("10");
  } finally {
    child.kill(9);
    await child.exited;
  }
  runBehind(child.pid);
});
