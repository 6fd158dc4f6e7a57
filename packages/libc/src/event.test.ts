import { expect, test } from "bun:test";
import { fdScope } from "../test/scope.ts";
import {
  epollCreate,
  epollCtl,
  epollWait,
  eventfd,
  eventfdRead,
  eventfdWrite,
  poll,
  timerfdCreate,
  timerfdGettime,
  timerfdRead,
  timerfdSettime,
} from "./event.ts";
import { pipe } from "./fd.ts";
import { clockGettime, monotonicNs } from "./time.ts";
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EFD_SEMAPHORE,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  TFD_CLOEXEC,
  TFD_NONBLOCK,
} from "./uapi/event.ts";
import { CLOCK_MONOTONIC } from "./uapi/time.ts";

test("an eventfd adds up what is written, and reading takes it all", () => {
  using fds = fdScope();
  const fd = fds.own(eventfd(2, EFD_CLOEXEC | EFD_NONBLOCK));
  eventfdWrite(fd);
  eventfdWrite(fd, 40n);
  expect(eventfdRead(fd)).toBe(43n);
  expect(eventfdRead(fd)).toBeUndefined();
});

test("an eventfd that would overflow says so", () => {
  using fds = fdScope();
  const fd = fds.own(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  expect(eventfdWrite(fd, 2n ** 64n - 2n)).toBe(true);
  expect(eventfdWrite(fd)).toBe(false);
  expect(eventfdRead(fd)).toBe(2n ** 64n - 2n);
});

test("a semaphore eventfd counts down", () => {
  using fds = fdScope();
  const fd = fds.own(eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC));
  expect([eventfdRead(fd), eventfdRead(fd), eventfdRead(fd)]).toEqual([1n, 1n, undefined]);
});

test("epoll reports each ready fd with its own data", () => {
  using fds = fdScope();
  const epoll = fds.own(epollCreate());
  const [a, b, c] = [fds.own(eventfd()), fds.own(eventfd()), fds.own(eventfd())];
  epollCtl(epoll, EPOLL_CTL_ADD, a, EPOLLIN);
  epollCtl(epoll, EPOLL_CTL_ADD, b, EPOLLIN, 2 ** 40 + 7);
  epollCtl(epoll, EPOLL_CTL_ADD, c, EPOLLIN | EPOLLET);
  expect(epollWait(epoll, 8, 0)).toEqual([]);
  eventfdWrite(a);
  eventfdWrite(b);
  const ready = epollWait(epoll, 8, -1).sort((x, y) => x.data - y.data);
  expect(ready).toEqual([
    { events: EPOLLIN, data: a },
    { events: EPOLLIN, data: 2 ** 40 + 7 },
  ]);
  expect(epollWait(epoll, 1, -1)).toHaveLength(1);
  epollCtl(epoll, EPOLL_CTL_DEL, a);
  epollCtl(epoll, EPOLL_CTL_MOD, b, EPOLLOUT, 5);
  expect(epollWait(epoll, 8, 0)).toEqual([{ events: EPOLLOUT, data: 5 }]);
  expect(() => epollCtl(epoll, EPOLL_CTL_ADD, b, EPOLLIN)).toThrow(
    `epoll_ctl fd ${b} on epoll fd ${epoll}: EEXIST`,
  );
});

test("poll tells readable, writable, hung up and closed apart", () => {
  using fds = fdScope();
  const [reader, writer] = fds.ownAll(pipe());
  expect(poll(reader, POLLIN, 0)).toBe(0);
  expect(poll(writer, POLLOUT, 0)).toBe(POLLOUT);
  fds.close(writer);
  expect(poll(reader, POLLIN, -1)).toBe(POLLHUP);
  expect(poll(999_999, POLLIN, 0)).toBe(POLLNVAL);
});

test("poll waits as long as it is told", () => {
  using fds = fdScope();
  const fd = fds.own(eventfd());
  const start = monotonicNs();
  expect(poll(fd, POLLIN, 30)).toBe(0);
  expect(monotonicNs() - start).toBeGreaterThanOrEqual(30e6);
});

test("a timer expires again and again, and epoll sees it", () => {
  using fds = fdScope();
  const timer = fds.own(timerfdCreate(CLOCK_MONOTONIC));
  const epoll = fds.own(epollCreate());
  epollCtl(epoll, EPOLL_CTL_ADD, timer, EPOLLIN);
  timerfdSettime(timer, { initialNs: 2e6, intervalNs: 1e6 });
  expect(timerfdGettime(timer).intervalNs).toBe(1_000_000n);
  expect(epollWait(epoll, 1, 10_000)).toEqual([{ events: EPOLLIN, data: timer }]);
  expect(timerfdRead(timer)).toBeGreaterThanOrEqual(1n);
  expect(timerfdRead(timer)).toBeGreaterThanOrEqual(1n);
});

test("a timer set to a time in the past expires at once; one that is disarmed never", () => {
  using fds = fdScope();
  const timer = fds.own(timerfdCreate(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  expect(timerfdRead(timer)).toBeUndefined();
  timerfdSettime(timer, { initialNs: clockGettime(CLOCK_MONOTONIC) - 1n, absolute: true });
  expect(timerfdRead(timer)).toBe(1n);
  timerfdSettime(timer, { initialNs: 3_600_000_000_000n });
  const { remainingNs } = timerfdGettime(timer);
  expect(remainingNs).toBeGreaterThan(3_500_000_000_000n);
  expect(remainingNs).toBeLessThanOrEqual(3_600_000_000_000n);
  timerfdSettime(timer, { initialNs: 0 });
  expect(timerfdGettime(timer)).toEqual({ remainingNs: 0n, intervalNs: 0n });
});
