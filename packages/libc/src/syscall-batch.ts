/**
 * System calls that run on a native thread while this one goes on: for calls that sleep in the kernel, such as those by
 * which KVM makes a VM, when every millisecond counts.
 *
 * The thread's program is a few instructions that walk a list of calls. Each argument is a pointer to a cell, so a call
 * can use the result of an earlier one. The first call that fails and may not ends the batch.
 */
import { E } from "./errno.ts";
import { addressOf, executable } from "./memory.ts";
import { pthreadCreate, pthreadJoin } from "./thread.ts";

/**
 * An argument: a number, an address, bytes (their address), the result of the call with that index, or what is at an address
 * when the call is made: 64 bits, of which most calls take the lower 32.
 */
export type BatchArgument =
  | number
  | bigint
  | ArrayBufferView
  | { readonly resultOf: number }
  | { readonly wordAt: number };

export interface BatchCall {
  /** The system call's number (`asm/unistd_64.h`). */
  readonly number: number;
  /** Up to six; the rest are 0. */
  readonly args: readonly BatchArgument[];
  /** Goes on with the next call where this one fails. Whoever walks the batch must know of it: agents of earlier versions do not. */
  readonly mayFail?: boolean;
}

/** System call numbers of x86-64. */
export const SYS = {
  read: 0,
  open: 2,
  mmap: 9,
  ioctl: 16,
  nanosleep: 35,
  kill: 62,
  sched_setscheduler: 144,
  futex: 202,
  clock_gettime: 228,
  tgkill: 234,
  close_range: 436,
} as const;

const MAX_ARGUMENTS = 6;
/** The result of a call that was not made. */
export const NOT_MADE = BigInt(-E.ECANCELED);
const LAST_FD = 0xffffffff;
/** u64 words of one call: number, with `MAY_FAIL` or not, pointers to six arguments, pointer to the result. */
const CALL_WORDS = 8;
const MAY_FAIL = 1n << 32n;

/**
 * `void *walk(struct { u64 count; struct { u32 number, mayFail; u64 *args[6], *result; } calls[]; } *batch)`: makes the calls as
 * `encodeBatch` lays it out. Needs no library and no thread-local storage.
 */
export const SYSCALL_WALK = Uint8Array.of(
  ...[0x53, 0x41, 0x54], // push rbx; push r12
  ...[0x48, 0x89, 0xfb], // mov rbx, rdi
  ...[0x4c, 0x8b, 0x23], // mov r12, [rbx]
  ...[0x48, 0x83, 0xc3, 0x08], // add rbx, 8
  ...[0x8b, 0x03], // next: mov eax, [rbx]
  ...[0x48, 0x8b, 0x7b, 0x08, 0x48, 0x8b, 0x3f], // mov rdi, [rbx+8]; mov rdi, [rdi]
  ...[0x48, 0x8b, 0x73, 0x10, 0x48, 0x8b, 0x36], // rsi
  ...[0x48, 0x8b, 0x53, 0x18, 0x48, 0x8b, 0x12], // rdx
  ...[0x4c, 0x8b, 0x53, 0x20, 0x4d, 0x8b, 0x12], // r10
  ...[0x4c, 0x8b, 0x43, 0x28, 0x4d, 0x8b, 0x00], // r8
  ...[0x4c, 0x8b, 0x4b, 0x30, 0x4d, 0x8b, 0x09], // r9
  ...[0x0f, 0x05], // syscall
  ...[0x48, 0x8b, 0x4b, 0x38, 0x48, 0x89, 0x01], // mov rcx, [rbx+56]; mov [rcx], rax
  ...[0x83, 0x7b, 0x04, 0x00], // cmp dword [rbx+4], 0
  ...[0x75, 0x08], // jne on
  ...[0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff], // cmp rax, -4095
  ...[0x73, 0x09], // jae end
  ...[0x48, 0x83, 0xc3, 0x40], // on: add rbx, 64
  ...[0x49, 0xff, 0xcc], // dec r12
  ...[0x75, 0xb4], // jnz next
  ...[0x31, 0xc0, 0x41, 0x5c, 0x5b, 0xc3], // end: xor eax, eax; pop r12; pop rbx; ret
);

/** Where a batch lies: in this thread's memory, and at which address for whoever walks it. */
export interface BatchArea {
  readonly buffer: ArrayBufferLike;
  /** Bytes from the start of the buffer, a multiple of 8. */
  readonly offset: number;
  readonly address: number;
}

/** Size of a batch of so many calls, in bytes. */
export const batchSize = (calls: number): number => 8 * (1 + calls * (CALL_WORDS + MAX_ARGUMENTS + 1));

/**
 * Lays a batch out for `SYSCALL_WALK`: the calls, then the cells of their arguments, then their results.
 *
 * @returns The results: each is the call's, a negative errno where it failed, or -ECANCELED where it was not made.
 */
export function encodeBatch(calls: readonly BatchCall[], area: BatchArea): BigInt64Array {
  const words = new BigUint64Array(area.buffer, area.offset, batchSize(calls.length) / 8);
  const firstCell = 1 + calls.length * CALL_WORDS;
  const firstResult = firstCell + calls.length * MAX_ARGUMENTS;
  const at = (word: number) => BigInt(area.address + 8 * word);
  words[0] = BigInt(calls.length);
  calls.forEach(({ number, args, mayFail = false }, i) => {
    const call = 1 + i * CALL_WORDS;
    words[call] = BigInt(number) | (mayFail ? MAY_FAIL : 0n);
    for (let j = 0; j < MAX_ARGUMENTS; j++) {
      const argument = args[j] ?? 0;
      if (typeof argument === "object" && "resultOf" in argument) {
        words[call + 1 + j] = at(firstResult + argument.resultOf);
        continue;
      }
      if (typeof argument === "object" && "wordAt" in argument) {
        words[call + 1 + j] = BigInt(argument.wordAt);
        continue;
      }
      const cell = firstCell + i * MAX_ARGUMENTS + j;
      words[cell] = BigInt.asUintN(64, BigInt(ArrayBuffer.isView(argument) ? addressOf(argument) : argument));
      words[call + 1 + j] = at(cell);
    }
    words[call + 7] = at(firstResult + i);
  });
  const results = new BigInt64Array(area.buffer, area.offset + 8 * firstResult, calls.length);
  return results.fill(NOT_MADE);
}

let walk = 0;

/** The address of `SYSCALL_WALK`: a function that a thread or a process of its own can run, given a batch's address. */
export function walkCode(): number {
  walk ||= executable(SYSCALL_WALK);
  return walk;
}

/** Calls that close all fds of whoever makes them, but for some. */
export function closeAllBut(keep: readonly number[]): BatchCall[] {
  const kept = [...new Set(keep)].sort((a, b) => a - b);
  return [...kept, LAST_FD + 1].flatMap((end, i) => {
    const first = i === 0 ? 0 : (kept[i - 1] as number) + 1;
    return first < end ? [{ number: SYS.close_range, args: [first, end - 1, 0] }] : [];
  });
}

export class SyscallBatch {
  #thread: bigint;
  #results: BigInt64Array;
  /** The memory that the thread reads: kept alive until it has ended. */
  #calls: readonly BatchCall[] | undefined;

  /** Starts the calls. */
  constructor(calls: readonly BatchCall[]) {
    const buffer = new ArrayBuffer(batchSize(calls.length));
    const address = addressOf(buffer);
    this.#results = encodeBatch(calls, { buffer, offset: 0, address });
    this.#calls = calls;
    this.#thread = pthreadCreate(walkCode(), address);
  }

  /** Waits for the calls and gives their results; see `encodeBatch`. */
  join(): number[] {
    if (this.#calls) pthreadJoin(this.#thread);
    this.#calls = undefined;
    return Array.from(this.#results, Number);
  }
}
