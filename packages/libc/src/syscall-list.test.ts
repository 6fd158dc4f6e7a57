import { expect, test } from "bun:test";
import { E } from "./errno.ts";
import { futexWaitCall, setBitCall, storeAndWakeCall, storeCall } from "./futex.ts";
import { CLOCK_MONOTONIC, MAP_ANONYMOUS, MAP_SHARED, PROT_READ, PROT_WRITE } from "./index.ts";
import { memoryView, mmap, munmap } from "./memory.ts";
import { getpid } from "./process.ts";
import { SYS } from "./syscall-batch.ts";
import { SyscallList } from "./syscall-list.ts";
import { Timespec } from "./time.ts";

const PAGE = 4096;
/** Nobody has this pid. */
const NOBODY = 2 ** 30;

const look = (pid: number, mayFail = false) => ({ number: SYS.kill, args: [pid, 0], mayFail });

function withWords(use: (address: number, words: Uint32Array) => void): void {
  const address = mmap({ length: PAGE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED | MAP_ANONYMOUS });
  try {
    use(address, new Uint32Array(memoryView(address, PAGE)));
  } finally {
    munmap(address, PAGE);
  }
}

test("all calls are made in order, as often as they are wanted", () => {
  const [first, second] = [Timespec.alloc(), Timespec.alloc()];
  const clock = (time: typeof first) => ({
    number: SYS.clock_gettime,
    args: [CLOCK_MONOTONIC, time.$view],
  });
  const list = new SyscallList([clock(first), clock(second)]);
  let before = 0n;
  for (let i = 0; i < 3; i++) {
    expect(list.make()).toBe(true);
    const [a, b] = [first, second].map(({ tv_sec, tv_nsec }) => tv_sec * 10n ** 9n + tv_nsec) as [
      bigint,
      bigint,
    ];
    expect(a).toBeGreaterThan(before);
    expect(b).toBeGreaterThan(a);
    before = b;
  }
});

test("a list of no calls is made", () => {
  expect(new SyscallList([]).make()).toBe(true);
});

test("the first call that fails is the last, but for those that may", () => {
  const failing = new SyscallList([look(getpid()), look(NOBODY), look(getpid())]);
  for (let i = 0; i < 2; i++) {
    expect(failing.make()).toBe(false);
    expect([0, 1, 2].map((call) => failing.result(call))).toEqual([0, -E.ESRCH, -E.ECANCELED]);
  }
  const passing = new SyscallList([look(NOBODY, true), look(getpid()), look(NOBODY, true)]);
  expect(passing.make()).toBe(true);
  expect([0, 1, 2].map((call) => passing.result(call))).toEqual([-E.ESRCH, 0, -E.ESRCH]);
  // the last may fail, and was not made
  expect(new SyscallList([look(NOBODY), look(getpid(), true)]).make()).toBe(false);
});

test("words are stored and bits are set, and nothing beside them", () => {
  withWords((address, words) => {
    words.set([0xaaaaaaaa, 0x00f0000f, 7, 0xffffffff]);
    const list = new SyscallList([
      storeCall(address, 3),
      setBitCall(address + 4, 8),
      setBitCall(address + 4, 31),
      storeAndWakeCall(address + 8, 0),
    ]);
    expect(list.make()).toBe(true);
    expect([...words.subarray(0, 5)]).toEqual([3, 0x80f0010f, 0, 0xffffffff, 0]);
  });
});

test("a word that has changed already is not waited for, and one that has not no longer than the time", () => {
  withWords((address, words) => {
    words[0] = 1;
    const list = new SyscallList([futexWaitCall(address, 0, 60e9), futexWaitCall(address, 1, 1e6)]);
    expect(list.make()).toBe(true);
    expect([list.result(0), list.result(1)]).toEqual([-E.EAGAIN, -E.ETIMEDOUT]);
  });
});

test("who sleeps on a word is woken by the call that stores it", async () => {
  const address = mmap({ length: PAGE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED | MAP_ANONYMOUS });
  const words = new Int32Array(memoryView(address, PAGE));
  const code = `
    import { futexWait, memoryView } from ${JSON.stringify(new URL("./index.ts", import.meta.url).pathname)};
    const words = new Int32Array(memoryView(${address}, 8));
    Atomics.store(words, 1, 1);
    while (Atomics.load(words, 0) === 0) futexWait(${address}, 0, 60e9);
    postMessage(Atomics.load(words, 0));
  `;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "application/typescript" })));
  try {
    const seen = new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
    });
    while (Atomics.load(words, 1) === 0) await Bun.sleep(1);
    // with another value until it sleeps: it has seen that this is the last one only if it was woken
    const wake = new SyscallList([storeAndWakeCall(address, 0)]);
    do {
      expect(wake.make()).toBe(true);
    } while (wake.result(0) === 0);
    expect(wake.result(0)).toBe(1);
    expect(new SyscallList([storeAndWakeCall(address, 5)]).make()).toBe(true);
    expect(await seen).toBe(5);
  } finally {
    worker.terminate();
    munmap(address, PAGE);
  }
});
