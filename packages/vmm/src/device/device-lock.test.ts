import { expect, test } from "bun:test";
import { COLLISIONS, COUNTER, type Contest, contend, LOCK, WORDS } from "../../test/lock-contender.ts";
import { DeviceLock } from "./device-lock.ts";

const newWords = () => new Int32Array(new SharedArrayBuffer(4 * WORDS));

test("the device lock lets one thread in at a time and wakes all that wait", async () => {
  const words = newWords();
  const contest: Contest = { words, threads: 4, rounds: 20_000 };
  const workers = [1, 2, 3].map(() => new Worker(new URL("../../test/lock-contender.ts", import.meta.url)));
  try {
    const done = workers.map((worker) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(contest);
      return promise;
    });
    contend(contest);
    await Promise.all(done);
  } finally {
    for (const worker of workers) worker.terminate();
  }
  expect([words[COUNTER], words[COLLISIONS], words[LOCK]]).toEqual([80_000, 0, 0]);
});

test("the device lock is free again after a body that throws", () => {
  const words = newWords();
  const lock = new DeviceLock(words, LOCK);
  expect(() =>
    lock.with(() => {
      throw new Error("device");
    }),
  ).toThrow("device");
  expect(words[LOCK]).toBe(0);
  expect(lock.with(() => 7)).toBe(7);
});

test("the device lock uses the word it is given and no other", () => {
  const words = newWords();
  const lock = new DeviceLock(words, 2);
  lock.acquire();
  expect([...words]).toEqual([0, 0, 1, 0, 0]);
  lock.release();
  expect([...words]).toEqual([0, 0, 0, 0, 0]);
});
