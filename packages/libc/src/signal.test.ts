import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { getpid, gettid } from "./process.ts";
import {
  blockedSignals,
  getDisposition,
  kill,
  killIfThere,
  meetSignals,
  SignalSet,
  setDisposition,
  sigmask,
  signalName,
  sigtimedwait,
  tgkill,
} from "./signal.ts";
import { monotonicNs } from "./time.ts";
import { SIG_BLOCK, SIG_SETMASK, SIGKILL, SIGPIPE, SIGPWR, SIGURG, SIGUSR1, SIGUSR2 } from "./uapi/signal.ts";

/** Whether this thread has one that waits. */
function isPending(signal: number): boolean {
  const status = readFileSync(`/proc/self/task/${gettid()}/status`, "latin1");
  const pending = BigInt(`0x${/^SigPnd:\s*([0-9a-f]+)$/m.exec(status)?.[1]}`);
  return (pending & (1n << BigInt(signal - 1))) !== 0n;
}

test("a set has what was added and not deleted", () => {
  const signal = fc.integer({ min: 1, max: 64 });
  fc.assert(
    fc.property(fc.uniqueArray(signal), fc.array(signal), (added, deleted) => {
      const set = new SignalSet(added);
      for (const each of deleted) set.delete(each);
      const expected = added.filter((each) => !deleted.includes(each)).sort((a, b) => a - b);
      expect([...set]).toEqual(expected);
      const mask = new DataView(set.kernelMask.buffer).getBigUint64(0, true);
      expect(mask).toBe(expected.reduce((bits, each) => bits | (1n << BigInt(each - 1)), 0n));
    }),
  );
  expect(SignalSet.allExcept([SIGPWR]).has(SIGPWR)).toBe(false);
  expect([...SignalSet.allExcept([SIGPWR])]).toHaveLength(63);
  for (const wrong of [0, 65, -1, 1.5]) expect(() => new SignalSet([wrong])).toThrow(RangeError);
});

test("a blocked signal waits until it is taken", () => {
  const set = new SignalSet([SIGUSR1, SIGUSR2]);
  const old = sigmask(SIG_BLOCK, set);
  try {
    expect(blockedSignals().has(SIGUSR1)).toBe(true);
    expect(sigtimedwait(set, 0)).toBeUndefined();
    tgkill(getpid(), gettid(), SIGUSR2);
    expect(sigtimedwait(new SignalSet([SIGUSR1]), 0)).toBeUndefined();
    expect(sigtimedwait(set, 1_000_000_000)).toBe(SIGUSR2);
    expect(sigtimedwait(set, 0)).toBeUndefined();
  } finally {
    while (sigtimedwait(set, 0) !== undefined);
    sigmask(SIG_SETMASK, old);
  }
  expect([...blockedSignals()]).toEqual([...old]);
});

test("a worker that blocks a signal is reached by tgkill, and the other threads' masks stay as they were", async () => {
  const before = [...blockedSignals()];
  const worker = new Worker(new URL("../test/programs/signal-worker.ts", import.meta.url).href);
  const messages: { tid?: number; blocked?: number[]; signal?: number }[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message));
      worker.onmessage = ({ data }) => {
        messages.push(data);
        if (data.tid !== undefined) tgkill(getpid(), data.tid, SIGUSR1);
        else resolve();
      };
    });
  } finally {
    worker.terminate();
  }
  expect(messages[0]?.tid).not.toBe(gettid());
  expect(messages[0]?.blocked).toContain(SIGUSR1);
  expect(messages[1]?.signal).toBe(SIGUSR1);
  expect([...blockedSignals()]).toEqual(before);
});

test("a pending signal meets its handler at once, and stays blocked for the next", async () => {
  const set = new SignalSet([SIGUSR2]);
  const met: string[] = [];
  const meet = (signal: string) => met.push(signal);
  process.on("SIGUSR2", meet);
  const old = sigmask(SIG_BLOCK, set);
  try {
    meetSignals(set);
    const blocked = [...blockedSignals()];
    for (let count = 1; count <= 2; count++) {
      tgkill(getpid(), gettid(), SIGUSR2);
      meetSignals(new SignalSet([SIGUSR1]));
      expect(isPending(SIGUSR2)).toBe(true);
      meetSignals(set);
      expect(isPending(SIGUSR2)).toBe(false);
      expect([...blockedSignals()]).toEqual(blocked);
      // Bun's handler notes it for the event loop
      while (met.length < count) await Bun.sleep(1);
    }
    expect(met).toEqual(["SIGUSR2", "SIGUSR2"]);
  } finally {
    sigmask(SIG_SETMASK, old);
    process.off("SIGUSR2", meet);
  }
});

test("sigtimedwait gives up in time", () => {
  const start = monotonicNs();
  const set = new SignalSet([SIGUSR1]);
  const old = sigmask(SIG_BLOCK, set);
  try {
    expect(sigtimedwait(set, 20_000_000)).toBeUndefined();
    expect(monotonicNs() - start).toBeGreaterThanOrEqual(20e6);
    expect(() => sigtimedwait(set, -1)).toThrow("EINVAL");
  } finally {
    sigmask(SIG_SETMASK, old);
  }
});

test("dispositions are set and told", () => {
  expect(getDisposition(SIGPIPE)).toBe("ignore");
  expect(setDisposition(SIGURG, "ignore")).toBe("default");
  expect(getDisposition(SIGURG)).toBe("ignore");
  expect(setDisposition(SIGURG, "default")).toBe("ignore");
  const handler = () => {};
  process.on("SIGUSR2", handler);
  try {
    expect(getDisposition(SIGUSR2)).toBe("handler");
  } finally {
    process.off("SIGUSR2", handler);
  }
  expect(() => setDisposition(SIGKILL, "ignore")).toThrow("sigaction SIGKILL: EINVAL");
});

test("signals to nobody are refused, by name", () => {
  expect(() => kill(2 ** 22 + 1, SIGUSR1)).toThrow(`kill SIGUSR1 to process ${2 ** 22 + 1}: ESRCH`);
  expect(() => tgkill(getpid(), 2 ** 22 + 1, SIGUSR1)).toThrow("ESRCH");
  expect(() => kill(getpid(), 0)).not.toThrow();
  expect(killIfThere(2 ** 22 + 1, SIGUSR1)).toBe(false);
  expect(killIfThere(getpid(), 0)).toBe(true);
  expect(() => killIfThere(getpid(), 65)).toThrow("EINVAL");
  expect([signalName(15), signalName(40)]).toEqual(["SIGTERM", "signal 40"]);
});
