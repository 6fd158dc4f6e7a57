import { check } from "./check.ts";
import { i64, struct } from "./layout.ts";
import { libc } from "./libc.ts";
import { type BatchCall, SYS } from "./syscall-batch.ts";
import { CLOCK_MONOTONIC } from "./uapi/time.ts";

/** `struct timespec` (`linux/time_types.h`). */
export const Timespec = struct("timespec", { tv_sec: i64, tv_nsec: i64 });

const NS = 1_000_000_000n;

/** A timespec from nanoseconds. */
export function timespec(ns: number | bigint) {
  const all = BigInt(ns);
  return Timespec.of({ tv_sec: all / NS, tv_nsec: all % NS });
}

/** A clock's time in nanoseconds. `clock` is one of CLOCK_*. */
export function clockGettime(clock: number): bigint {
  const now = Timespec.alloc();
  check("clock_gettime", libc.clock_gettime(clock, now.$view), `clock ${clock}`);
  return now.tv_sec * NS + now.tv_nsec;
}

const now = new Uint32Array(new ArrayBuffer(Timespec.size));
const nsOfNow = (): number => (now[0] as number) * 1e9 + (now[2] as number);

/** CLOCK_MONOTONIC in nanoseconds as a double, without allocating: exact for the first 104 days after boot. */
export function monotonicNs(): number {
  libc.clock_gettime(CLOCK_MONOTONIC, now);
  return nsOfNow();
}

/** What a thread's own clock has in its number beside the thread's id. No header for programs has them. */
const [CPUCLOCK_SCHED, CPUCLOCK_PERTHREAD] = [2, 4];

/**
 * For how long a thread of this process has run, in nanoseconds; `undefined` where there is none of that id.
 *
 * The clock's number is made of the thread's, as glibc's pthread_getcpuclockid does (include/linux/posix-timers_types.h).
 */
export function threadCpuNs(tid: number): number | undefined {
  if (tid === 0) return undefined;
  const clock = (~tid << 3) | CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED;
  return libc.clock_gettime(clock, now) === 0 ? nsOfNow() : undefined;
}

/** Blocks the calling thread for `microseconds`, less where a signal comes. */
export function usleep(microseconds: number): void {
  libc.usleep(microseconds);
}

/** The same as a call of a list, which goes on where a signal ends it. */
export const sleepCall = (microseconds: number): BatchCall => ({
  number: SYS.nanosleep,
  args: [timespec(microseconds * 1000).$view, 0],
  mayFail: true,
});
