/** Fds to wait with: eventfd, timerfd, epoll, poll. */
import { check, checkFd } from "./check.ts";
import { errno } from "./errno.ts";
import { read, write } from "./io.ts";
import { i16, i32, struct, u32, u64 } from "./layout.ts";
import { libc } from "./libc.ts";
import { SyscallError } from "./syscall-error.ts";
import { Timespec, timespec } from "./time.ts";
import { E } from "./uapi/errno.ts";
import { EFD_CLOEXEC, EPOLL_CLOEXEC, EPOLL_CTL_DEL, TFD_CLOEXEC, TFD_TIMER_ABSTIME } from "./uapi/event.ts";

/** An eventfd (EFD_*) that counts from `initial`. */
export function eventfd(initial = 0, flags: number = EFD_CLOEXEC): number {
  return check("eventfd", libc.eventfd(initial, flags), `count ${initial}`);
}

/** Takes the count (or one, with EFD_SEMAPHORE) and sets it to 0. `undefined` where it is 0 and the fd non-blocking. */
export function eventfdRead(fd: number): bigint | undefined {
  const count = new BigUint64Array(1);
  return read(fd, count) === undefined ? undefined : count[0];
}

/** Adds to the count. Returns false where that would overflow and the fd is non-blocking. */
export function eventfdWrite(fd: number, count = 1n): boolean {
  return write(fd, BigUint64Array.of(count)) !== undefined;
}

/** `struct epoll_event` (`linux/eventpoll.h`), which x86-64 packs to have it as i386 does. */
export const EpollEvent = struct("epoll_event", { events: u32, data: u64 }, { packed: true });

export function epollCreate(flags: number = EPOLL_CLOEXEC): number {
  return check("epoll_create1", libc.epoll_create1(flags), "epoll");
}

/**
 * Adds (EPOLL_CTL_ADD), changes (EPOLL_CTL_MOD) or removes (EPOLL_CTL_DEL) an fd.
 *
 * @param events EPOLLIN and the like.
 * @param data Comes back with the event; the fd where left out.
 */
export function epollCtl(epoll: number, operation: number, fd: number, events = 0, data: number = fd): void {
  const event = operation === EPOLL_CTL_DEL ? null : EpollEvent.of({ events, data: BigInt(data) }).$view;
  check("epoll_ctl", libc.epoll_ctl(epoll, operation, fd, event), `fd ${fd} on epoll fd ${epoll}`);
}

export interface ReadyEvent {
  /** EPOLLIN and the like. */
  readonly events: number;
  readonly data: number;
}

/**
 * Waits for events.
 *
 * @param maxEvents The most to return at once.
 * @param timeoutMs -1 for ever, 0 not at all. An interrupted wait with a timeout returns early, with nothing.
 */
export function epollWait(epoll: number, maxEvents: number, timeoutMs: number): ReadyEvent[] {
  const buffer = new ArrayBuffer(EpollEvent.size * maxEvents);
  const bytes = new Uint8Array(buffer);
  const n = waited("epoll_wait", epoll, timeoutMs, () => libc.epoll_wait(epoll, bytes, maxEvents, timeoutMs));
  return Array.from({ length: n }, (_, i) => {
    const event = EpollEvent.at(buffer, i * EpollEvent.size);
    return { events: event.events, data: Number(event.data) };
  });
}

function waited(call: string, fd: number, timeoutMs: number, wait: () => number): number {
  for (;;) {
    const n = wait();
    if (n !== -1) return n;
    const error = errno();
    if (error !== E.EINTR) throw new SyscallError(call, error, `fd ${fd}`);
    if (timeoutMs >= 0) return 0;
  }
}

/** `struct pollfd` (`asm-generic/poll.h`). */
export const PollFd = struct("pollfd", { fd: i32, events: i16, revents: i16 });

/**
 * Waits for one fd.
 *
 * @param events POLLIN and the like.
 * @param timeoutMs -1 for ever, 0 not at all. An interrupted wait with a timeout returns early.
 * @returns What the fd is ready for, 0 where the time is up.
 */
export function poll(fd: number, events: number, timeoutMs: number): number {
  const entry = PollFd.of({ fd, events });
  waited("poll", fd, timeoutMs, () => libc.poll(entry.$view, 1, timeoutMs));
  return entry.revents & 0xffff;
}

/** `struct itimerspec` (`linux/time.h`). */
export const Itimerspec = struct("itimerspec", { it_interval: Timespec.type, it_value: Timespec.type });

/** A timer (CLOCK_*) that is read when it expires. */
export function timerfdCreate(clock: number, flags: number = TFD_CLOEXEC): number {
  return check("timerfd_create", libc.timerfd_create(clock, flags), `clock ${clock}`);
}

export interface TimerSetting {
  /** First expiry, in ns from now or, where `absolute`, on the timer's clock. 0 disarms the timer. */
  initialNs: number | bigint;
  /** Time between further expiries in ns; 0 for none. */
  intervalNs?: number | bigint;
  absolute?: boolean;
}

/** Arms or disarms a timer. */
export function timerfdSettime(fd: number, setting: TimerSetting): void {
  const spec = Itimerspec.of({
    it_interval: timespec(setting.intervalNs ?? 0),
    it_value: timespec(setting.initialNs),
  });
  const flags = setting.absolute ? TFD_TIMER_ABSTIME : 0;
  checkFd("timerfd_settime", libc.timerfd_settime(fd, flags, spec.$view, null), fd);
}

/** The time to the next expiry (0 when disarmed) and the interval, in ns. */
export function timerfdGettime(fd: number): { remainingNs: bigint; intervalNs: bigint } {
  const spec = Itimerspec.alloc();
  checkFd("timerfd_gettime", libc.timerfd_gettime(fd, spec.$view), fd);
  const ns = (t: { tv_sec: bigint; tv_nsec: bigint }) => t.tv_sec * 1_000_000_000n + t.tv_nsec;
  return { remainingNs: ns(spec.it_value), intervalNs: ns(spec.it_interval) };
}

/** How often the timer has expired since it was last read; `undefined` where it has not and the fd is non-blocking. */
export const timerfdRead: (fd: number) => bigint | undefined = eventfdRead;
