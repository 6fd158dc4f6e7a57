/** A thread that adds to a counter which nothing but the device lock guards. */
import { DeviceLock } from "../src/device/device-lock.ts";

declare const self: Worker;

export interface Contest {
  readonly words: Int32Array;
  /** Threads that take part. All begin when the last has come. */
  readonly threads: number;
  readonly rounds: number;
}

/** Words of a contest. */
export const LOCK = 0;
export const COUNTER = 1;
export const INSIDE = 2;
export const COLLISIONS = 3;
export const READY = 4;
export const WORDS = 5;

/** A thread that has not come by then (ms) does not come. */
const PATIENCE = 10_000;

function awaitAll(words: Int32Array, threads: number): void {
  let ready = Atomics.add(words, READY, 1) + 1;
  Atomics.notify(words, READY);
  for (; ready < threads; ready = Atomics.load(words, READY)) {
    if (Atomics.wait(words, READY, ready, PATIENCE) === "timed-out") throw new Error("a thread did not come");
  }
}

/** Adds `rounds` to the counter, one at a time, and counts the times that somebody else was inside. */
export function contend({ words, threads, rounds }: Contest): void {
  const lock = new DeviceLock(words, LOCK);
  awaitAll(words, threads);
  for (let i = 0; i < rounds; i++) {
    lock.with(() => {
      if (Atomics.add(words, INSIDE, 1) !== 0) Atomics.add(words, COLLISIONS, 1);
      const seen = words[COUNTER] as number;
      for (let wait = 0; wait < i % 50; wait++) Atomics.load(words, INSIDE);
      words[COUNTER] = seen + 1;
      Atomics.sub(words, INSIDE, 1);
    });
  }
}

if (!Bun.isMainThread) {
  self.onmessage = (event: MessageEvent<Contest>) => {
    contend(event.data);
    postMessage("done");
  };
}
