import { addressOf } from "./memory.ts";

/**
 * An array of `struct iovec` (`linux/uio.h`): address and length of each view, 16 bytes apiece. The views must stay
 * reachable until the call is over; `keepAlive` sees to that.
 */
export function iovecs(views: readonly ArrayBufferView[]): BigUint64Array {
  const table = new BigUint64Array(new ArrayBuffer(16 * views.length));
  views.forEach((view, i) => {
    table[2 * i] = BigInt(addressOf(view));
    table[2 * i + 1] = BigInt(view.byteLength);
  });
  return table;
}

let kept: unknown;

/** Keeps a value reachable up to here, for memory that only the kernel has used by its address. */
export function keepAlive(value: unknown): void {
  kept = value;
  if (kept !== undefined) kept = undefined;
}
