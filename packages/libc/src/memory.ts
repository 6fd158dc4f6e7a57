/** Mapped memory, and how JavaScript sees it. Addresses are plain numbers: user space ends below 2^47. */
import { type Pointer, ptr, toArrayBuffer } from "bun:ffi";
import { check } from "./check.ts";
import { libc } from "./libc.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE } from "./uapi/mman.ts";

export interface Mapping {
  /** Length in bytes; the kernel rounds it up to whole pages. */
  length: number;
  /** PROT_* */
  prot: number;
  /** MAP_* */
  flags: number;
  /** Left out for MAP_ANONYMOUS. */
  fd?: number;
  /** Offset into the file in bytes, a multiple of the page size. */
  offset?: number;
  /** Where to map, with MAP_FIXED or MAP_FIXED_NOREPLACE, else a hint. */
  address?: number;
}

const hex = (address: number) => `0x${address.toString(16)}`;
const range = (address: number, length: number) => `${length} bytes at ${hex(address)}`;

/** Maps memory and returns its address. */
export function mmap({ length, prot, flags, fd = -1, offset = 0, address = 0 }: Mapping): number {
  const result = libc.mmap(address, length, prot, flags, fd, offset);
  return check("mmap", result, fd === -1 ? `${length} bytes` : `${length} bytes of fd ${fd}`);
}

/** Unmaps whole pages. Every ArrayBuffer made by `memoryView` over them must be out of use. */
export function munmap(address: number, length: number): void {
  check("munmap", libc.munmap(address, length), range(address, length));
}

/** Tells the kernel how the pages will be used (MADV_*). */
export function madvise(address: number, length: number, advice: number): void {
  check("madvise", libc.madvise(address, length, advice), range(address, length));
}

export function mprotect(address: number, length: number, prot: number): void {
  check("mprotect", libc.mprotect(address, length, prot), range(address, length));
}

/** The longest ArrayBuffer in bytes: larger memory is seen through several windows. */
export const MAX_VIEW_LENGTH = 2 ** 32;

/**
 * Mapped memory as an ArrayBuffer, in place. The memory is not freed with the buffer, and the buffer must not be
 * transferred; another Worker gets the address and makes its own view.
 *
 * What the guest, the kernel or another thread writes there is to be read with `Atomics.load`: a plain read in a loop
 * may be hoisted out of it. On memory that is mapped read-only it faults, though: once optimized, the engine's
 * `Atomics.load` is a locked add of 0.
 *
 * @throws RangeError above 4 GiB, or where the length or address is not a positive integer.
 */
export function memoryView(address: number, length: number): ArrayBuffer {
  if (!Number.isSafeInteger(length) || length <= 0 || length > MAX_VIEW_LENGTH) {
    throw new RangeError(`a view of ${length} bytes: it must have 1 to ${MAX_VIEW_LENGTH}`);
  }
  if (!Number.isSafeInteger(address) || address <= 0) throw new RangeError(`a view at address ${address}`);
  return toArrayBuffer(address as Pointer, 0, length);
}

/**
 * The address of a view's first byte, valid while the view is reachable; 0 for an empty view, which has none.
 *
 * Touches `.buffer` first: a small typed array lives in the garbage-collected heap until then, and would move later.
 */
export function addressOf(view: ArrayBufferView | ArrayBufferLike): number {
  if (view.byteLength === 0) return 0;
  if (ArrayBuffer.isView(view)) void view.buffer;
  return ptr(view as NodeJS.TypedArray) as number;
}

/**
 * Maps machine code, readable and executable, and returns its address. It stays until the process ends or `munmap`
 * releases it.
 */
export function executable(code: Uint8Array): number {
  const address = mmap({
    length: code.length,
    prot: PROT_READ | PROT_WRITE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS,
  });
  new Uint8Array(memoryView(address, code.length)).set(code);
  mprotect(address, code.length, PROT_READ | PROT_EXEC);
  return address;
}
