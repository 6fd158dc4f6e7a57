/** futex(2) on memory that processes share: sleeping until a word changes, and waking whoever sleeps on it. */
import { E, errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { addressOf } from "./memory.ts";
import { SyscallError } from "./syscall-error.ts";
import { timespec } from "./time.ts";

const SYS_FUTEX = 202;
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;

/**
 * Sleeps while the u32 at `address` is `expected`, until it is woken or the time is over. May return early for no reason:
 * look at the word.
 */
export function futexWait(address: number, expected: number, timeoutNs: number): void {
  const time = timespec(Math.round(timeoutNs));
  const result = libc.syscall(SYS_FUTEX, address, FUTEX_WAIT, expected, addressOf(time.$view), 0, 0);
  if (result !== -1) return;
  const error = errno();
  if (error === E.EAGAIN || error === E.EINTR || error === E.ETIMEDOUT) return;
  throw new SyscallError("futex", error, `word at 0x${address.toString(16)}`);
}

/** Wakes all that sleep on the u32 at `address`. */
export function futexWake(address: number): void {
  if (libc.syscall(SYS_FUTEX, address, FUTEX_WAKE, 0x7fffffff, 0, 0, 0) === -1) {
    throw new SyscallError("futex", errno(), `word at 0x${address.toString(16)}`);
  }
}
