import { expect, test } from "bun:test";
import { futexWait, futexWake } from "./futex.ts";
import { memoryView, mmap, munmap } from "./memory.ts";
import { monotonicNs } from "./time.ts";
import { MAP_ANONYMOUS, MAP_SHARED, PROT_READ, PROT_WRITE } from "./uapi/mman.ts";

const PAGE = 4096;

function page(): { address: number; words: Int32Array } {
  const flags = MAP_SHARED | MAP_ANONYMOUS;
  const address = mmap({ length: PAGE, prot: PROT_READ | PROT_WRITE, flags });
  return { address, words: new Int32Array(memoryView(address, PAGE)) };
}

test("a word that is not as expected is not slept on, and one that stays is slept on until the time is over", () => {
  const { address, words } = page();
  Atomics.store(words, 0, 7);
  futexWait(address, 6, 60e9);
  const before = monotonicNs();
  while (monotonicNs() - before < 5e6) futexWait(address, 7, 5e6);
  expect(Atomics.load(words, 0)).toBe(7);
  munmap(address, PAGE);
});

test("another thread's wake ends the sleep", async () => {
  const { address, words } = page();
  const code = `
    import { futexWake, memoryView } from ${JSON.stringify(new URL("./index.ts", import.meta.url).pathname)};
    const word = new Int32Array(memoryView(${address}, 4));
    Atomics.store(word, 0, 1);
    futexWake(${address});
    postMessage("woken");
  `;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "application/typescript" })));
  const done = new Promise((resolve) => {
    worker.onmessage = resolve;
  });
  while (Atomics.load(words, 0) === 0) futexWait(address, 0, 10e9);
  expect(Atomics.load(words, 0)).toBe(1);
  await done;
  worker.terminate();
  futexWake(address);
  munmap(address, PAGE);
});
