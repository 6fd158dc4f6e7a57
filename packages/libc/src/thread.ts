/** Threads that run machine code rather than JavaScript. See `executable` for the code. */
import { checkThread } from "./check.ts";
import { libc } from "./libc.ts";

/**
 * Starts a thread, which inherits the signal mask.
 *
 * @param start Address of `void *start(void *argument)`.
 * @returns A handle, to be joined once.
 */
export function pthreadCreate(start: number, argument: number | bigint): bigint {
  const handle = new BigUint64Array(1);
  const error = libc.pthread_create(handle, null, start, argument);
  checkThread("pthread_create", error, `start routine at 0x${start.toString(16)}`);
  return handle[0] as bigint;
}

/** Waits for a thread to end and releases it. Returns what its start routine returned, as a signed 64-bit integer. */
export function pthreadJoin(handle: bigint): bigint {
  const result = new BigInt64Array(1);
  checkThread("pthread_join", libc.pthread_join(handle, result), threadName(handle));
  return result[0] as bigint;
}

/** Sends a signal to a thread that has not been joined. */
export function pthreadKill(handle: bigint, signal: number): void {
  checkThread("pthread_kill", libc.pthread_kill(handle, signal), `signal ${signal} to ${threadName(handle)}`);
}

const threadName = (handle: bigint) => `thread 0x${handle.toString(16)}`;
