import { expect, test } from "bun:test";
import { executable, memoryView, mmap, munmap } from "./memory.ts";
import { pthreadCreate, pthreadJoin, pthreadKill } from "./thread.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "./uapi/mman.ts";

/** mov rax, rdi; ret */
const IDENTITY = Uint8Array.of(0x48, 0x89, 0xf8, 0xc3);
/** 1: pause; cmp dword [rdi], 0; je 1b; mov eax, [rdi]; ret */
const WAIT_FOR_WORD = Uint8Array.of(0xf3, 0x90, 0x83, 0x3f, 0x00, 0x74, 0xf9, 0x8b, 0x07, 0xc3);

test("a thread runs machine code, and its result is joined", () => {
  const start = executable(IDENTITY);
  try {
    for (const argument of [0n, -5n, 2n ** 62n, -(2n ** 63n)]) {
      expect(pthreadJoin(pthreadCreate(start, argument))).toBe(argument);
    }
    expect(pthreadJoin(pthreadCreate(start, 42))).toBe(42n);
  } finally {
    munmap(start, IDENTITY.length);
  }
});

test("a running thread is sent a signal, and joined when it ends", () => {
  const start = executable(WAIT_FOR_WORD);
  const word = mmap({ length: 4096, prot: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE | MAP_ANONYMOUS });
  const cell = new Int32Array(memoryView(word, 4));
  const thread = pthreadCreate(start, word);
  let result: bigint;
  try {
    pthreadKill(thread, 0);
    expect(() => pthreadKill(thread, 999)).toThrow("pthread_kill signal 999 to thread 0x");
  } finally {
    Atomics.store(cell, 0, 7);
    result = pthreadJoin(thread);
  }
  expect(result).toBe(7n);
  munmap(word, 4096);
  munmap(start, WAIT_FOR_WORD.length);
});
