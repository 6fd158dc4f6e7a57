import { expect, test } from "bun:test";
import { SYS } from "./syscall-batch.ts";
import { SyscallList } from "./syscall-list.ts";
import { clockGettime, monotonicNs, sleepCall, threadCpuNs, timespec, usleep } from "./time.ts";
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME } from "./uapi/time.ts";

test("the real-time clock agrees with Date", () => {
  const before = Date.now();
  const now = Number(clockGettime(CLOCK_REALTIME) / 1_000_000n);
  expect(now).toBeGreaterThanOrEqual(before - 1);
  expect(now).toBeLessThanOrEqual(Date.now() + 1);
});

test("monotonicNs lies between two readings of CLOCK_MONOTONIC", () => {
  for (let i = 0; i < 1000; i++) {
    const before = clockGettime(CLOCK_MONOTONIC);
    const now = BigInt(monotonicNs());
    expect(now >= before && now <= clockGettime(CLOCK_MONOTONIC)).toBe(true);
  }
});

test("monotonicNs moves on in a hot loop, and never back", () => {
  const start = monotonicNs();
  let last = start;
  let backwards = 0;
  for (let i = 0; i < 200_000; i++) {
    const now = monotonicNs();
    if (now < last) backwards++;
    last = now;
  }
  expect(backwards).toBe(0);
  expect(last - start).toBeGreaterThan(200_000);
});

test("clocks that do not exist are refused", () => {
  expect(clockGettime(CLOCK_BOOTTIME)).toBeGreaterThanOrEqual(clockGettime(CLOCK_MONOTONIC) - 1_000_000_000n);
  expect(() => clockGettime(99)).toThrow("clock_gettime clock 99: EINVAL");
});

test("a timespec splits seconds from nanoseconds", () => {
  expect(timespec(5_000_000_007n)).toMatchObject({ tv_sec: 5n, tv_nsec: 7n });
  expect(timespec(999_999_999)).toMatchObject({ tv_sec: 0n, tv_nsec: 999_999_999n });
});

test("usleep blocks for at least as long as it is told", () => {
  const start = monotonicNs();
  usleep(3000);
  expect(monotonicNs() - start).toBeGreaterThanOrEqual(3e6);
});

test("so does its call in a list, and what follows is made", () => {
  const list = new SyscallList([sleepCall(3000), { number: SYS.kill, args: [process.pid, 0] }]);
  const start = monotonicNs();
  expect(list.make()).toBe(true);
  expect(monotonicNs() - start).toBeGreaterThanOrEqual(3e6);
});

test("the time that a thread has run grows as it runs, and not while it sleeps", () => {
  const ran = () => threadCpuNs(process.pid) ?? Number.NaN;
  const start = ran();
  usleep(30_000);
  const slept = ran() - start;
  while (ran() - start < slept + 5e6);
  expect(slept).toBeLessThan(25e6);
});

test("of a thread that is not ours it is not told", () => {
  expect(threadCpuNs(1)).toBeUndefined();
});
