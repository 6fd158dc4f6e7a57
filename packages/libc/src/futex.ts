/** futex(2) on memory that processes share: sleeping until a word changes, and waking whoever sleeps on it. */
import { E, errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { addressOf } from "./memory.ts";
import { type BatchCall, SYS } from "./syscall-batch.ts";
import { SyscallError } from "./syscall-error.ts";
import { timespec } from "./time.ts";

const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const FUTEX_WAKE_OP = 5;
const FUTEX_PRIVATE_FLAG = 128;
const ALL = 0x7fffffff;

/**
 * Sleeps while the u32 at `address` is `expected`, until it is woken or the time is over. May return early for no reason:
 * look at the word.
 */
export function futexWait(address: number, expected: number, timeoutNs: number): void {
  const time = timespec(Math.round(timeoutNs));
  const result = libc.syscall(SYS.futex, address, FUTEX_WAIT, expected, addressOf(time.$view), 0, 0);
  if (result !== -1) return;
  const error = errno();
  if (error === E.EAGAIN || error === E.EINTR || error === E.ETIMEDOUT) return;
  throw new SyscallError("futex", error, `word at 0x${address.toString(16)}`);
}

/**
 * For a list: sleeps while the u32 at `address` is `expected`. May end early for no reason, and fails where the word has changed
 * already: look at it afterwards.
 */
export const futexWaitCall = (address: number, expected: number, timeoutNs: number): BatchCall => ({
  number: SYS.futex,
  args: [address, FUTEX_WAIT, expected, timespec(Math.round(timeoutNs)).$view],
  mayFail: true,
});

/** FUTEX_OP_*: what FUTEX_WAKE_OP does to a word. */
const FUTEX_OP = { store: 0, or: 2 } as const;
/** The operand is a number of at most 11 bits, or with this flag the number of a bit. */
const FUTEX_OP_OPARG_SHIFT = 8;

function wordCall(address: number, flags: number, op: number, operand: number, wakes: number): BatchCall {
  const what = (op << 28) | (operand << 12);
  return { number: SYS.futex, args: [address, FUTEX_WAKE_OP | flags, wakes, 0, address, what >>> 0] };
}

/** For a list: stores a small number in the u32 at `address`, and wakes nobody who counts on it. */
export const storeCall = (address: number, value: number): BatchCall =>
  wordCall(address, FUTEX_PRIVATE_FLAG, FUTEX_OP.store, value, 0);

/** For a list: sets a bit of the u32 at `address`, and wakes nobody who counts on it. */
export const setBitCall = (address: number, bit: number): BatchCall =>
  wordCall(address, FUTEX_PRIVATE_FLAG, FUTEX_OP.or | FUTEX_OP_OPARG_SHIFT, bit, 0);

/** For a list: stores a small number in a u32 that processes share, and wakes all that sleep on it. */
export const storeAndWakeCall = (address: number, value: number): BatchCall =>
  wordCall(address, 0, FUTEX_OP.store, value, ALL);

/** Wakes all that sleep on the u32 at `address`. */
export function futexWake(address: number): void {
  if (libc.syscall(SYS.futex, address, FUTEX_WAKE, ALL, 0, 0, 0) === -1) {
    throw new SyscallError("futex", errno(), `word at 0x${address.toString(16)}`);
  }
}
