import { describe, expect, test } from "bun:test";
import { describeConformance } from "../../packages/vmm/test/conformance.ts";
import { DeviceBench } from "../../packages/vmm/test/device-bench.ts";
import { Ib700Watchdog } from "./ib700.ts";

const [STOP, START] = [0x441, 0x443];
const SECOND = 1e9;

function powerOn() {
  const bench = new DeviceBench();
  const watchdog = new Ib700Watchdog(bench, "watchdog0");
  bench.lock.with(() => watchdog.reset());
  return { bench, watchdog };
}

// Every device has to pass these: its state can be saved and loaded, and served by any thread.
describeConformance("the watchdog", (context) => new Ib700Watchdog(context, "watchdog0"));

describe("the watchdog", () => {
  test("does nothing until it is started", () => {
    const { bench } = powerOn();
    bench.advance(3600 * SECOND);
    expect(bench.requests).toEqual([]);
  });

  test.each([
    [0x0, 30],
    [0x5, 20],
    [0xe, 2],
    [0xf5, 20],
  ])("started with %d resets the machine after %d s, and counts it", (value, seconds) => {
    const { bench } = powerOn();
    bench.out8(START, value);
    bench.advance(seconds * SECOND - 1);
    expect(bench.requests).toEqual([]);
    bench.advance(1);
    expect(bench.requests).toEqual([{ kind: "reset", status: 0 }]);
    expect(bench.in8(START)).toBe(1);
  });

  test("waits anew each time it is fed", () => {
    const { bench } = powerOn();
    for (let i = 0; i < 10; i++) {
      bench.out8(START, 0xe);
      bench.advance(1.9 * SECOND);
    }
    expect(bench.requests).toEqual([]);
  });

  test("is stopped by the guest, and by a reset", () => {
    const { bench, watchdog } = powerOn();
    bench.out8(START, 0xe);
    bench.out8(STOP, 0);
    bench.advance(60 * SECOND);
    bench.out8(START, 0xe);
    bench.lock.with(() => watchdog.reset());
    bench.advance(60 * SECOND);
    expect(bench.requests).toEqual([]);
  });
});
