import { afterEach, describe, expect, test } from "bun:test";
import {
  close,
  ftruncate,
  MAP_SHARED,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  monotonicNs,
  munmap,
  PROT_READ,
  PROT_WRITE,
  usleep,
} from "@vmm/libc";
import { Observer, type Standstill } from "./observer.ts";

const OFFSET = 0x2000;
const STRIDE = 64;
const SIZE = 0x4000;

/** RAM in which this test counts, as a guest would. */
function guestRam() {
  const fd = memfdCreate("observed", MFD_CLOEXEC);
  ftruncate(fd, SIZE);
  const address = mmap({ length: SIZE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
  const words = new Uint32Array(memoryView(address, SIZE));
  return {
    path: `/proc/${process.pid}/fd/${fd}`,
    /** Counts on the vCPU for so long (ms). Returns when its last count was written at the earliest (ns). */
    count(cpu: number, ms: number): number {
      const end = monotonicNs() + ms * 1e6;
      let time = monotonicNs();
      while (time < end) {
        time = monotonicNs();
        Atomics.add(words, (OFFSET + STRIDE * cpu) / 4, 1);
      }
      return time;
    },
    [Symbol.dispose]() {
      munmap(address, SIZE);
      close(fd);
    },
  };
}

interface Stop {
  /** Nothing was written in between (ns). */
  readonly from: number;
  readonly to: number;
  /** Writes surely happened here. */
  readonly earliest: number;
  readonly latest: number;
}

/** Counts, with stops of the given lengths (us) in between. */
function countWithStops(ram: ReturnType<typeof guestRam>, cpu: number, stops: readonly number[]): Stop[] {
  const result: Stop[] = [];
  let earliest = ram.count(cpu, 8);
  for (const us of stops) {
    const from = monotonicNs();
    usleep(us);
    const to = monotonicNs();
    ram.count(cpu, 0.01);
    result.push({ from, to, earliest, latest: monotonicNs() });
    earliest = ram.count(cpu, 8);
  }
  return result;
}

/** What counts can itself be held up by a busy host at the very moment of a stop: then it is measured anew. */
const AGAIN = { retry: 4 };

/** For how long a standstill and a stop were at once (ns). */
const overlap = (seen: Standstill, stop: Stop): number =>
  Math.min(seen.end, stop.to) - Math.max(seen.start, stop.from);

let observer: Observer | undefined;
afterEach(async () => {
  await observer?.[Symbol.asyncDispose]();
  observer = undefined;
});

describe.each(["native", "script"] as const)("the observer, with its %s loop", (loop) => {
  const settings = { offset: OFFSET, stride: STRIDE, loop };

  test(
    "sees every stop, within the bounds that it states",
    async () => {
      using ram = guestRam();
      observer = await Observer.start({ ...settings, ram: ram.path, cpus: 1 });
      const stops = countWithStops(ram, 0, [1000, 2000, 5000, 10_000, 20_000]);
      const quality = await observer.stop();
      const seen = observer.standstills();
      for (const stop of stops) {
        const [found] = seen.toSorted((a, b) => overlap(b, stop) - overlap(a, stop));
        if (!found || overlap(found, stop) < (stop.to - stop.from) / 2) {
          // it sees all unless it was itself held up for longer, and then it says so
          expect(quality.longestGapMs).toBeGreaterThan((stop.to - stop.from) / 4e6);
          continue;
        }
        expect(found.ns + found.uncertainty).toBeGreaterThanOrEqual(stop.to - stop.from);
        expect(found.ns - found.uncertainty).toBeLessThanOrEqual(stop.latest - stop.earliest);
      }
      expect(quality.samples).toBeGreaterThan(10);
      expect(quality.meanUs).toBeGreaterThan(10);
    },
    AGAIN,
  );

  test("watches each vCPU by itself", async () => {
    using ram = guestRam();
    observer = await Observer.start({ ...settings, ram: ram.path, cpus: 3 });
    const [stop] = countWithStops(ram, 2, [4000]);
    const { longestGapMs } = await observer.stop();
    const seen = observer.standstills();
    // the other two have not begun: what never moved has not stopped
    expect(seen.filter((s) => s.cpu !== 2)).toEqual([]);
    const found = seen.some((s) => stop && overlap(s, stop) > 3e6);
    expect(found || longestGapMs > 1).toBe(true);
  });

  test("logs nothing shorter than its threshold", async () => {
    using ram = guestRam();
    observer = await Observer.start({ ...settings, ram: ram.path, cpus: 1, threshold: 1e9 });
    countWithStops(ram, 0, [2000, 2000]);
    await observer.stop();
    expect(observer.seen).toBe(0);
  });
});

test("an observer of RAM that does not exist says so", async () => {
  const missing = { ram: "/proc/self/fd/999", offset: OFFSET, stride: STRIDE, cpus: 1 };
  expect(Observer.start(missing)).rejects.toThrow("the observer of /proc/self/fd/999 does not start");
});
