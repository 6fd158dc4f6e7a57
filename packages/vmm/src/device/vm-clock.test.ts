import { expect, test } from "bun:test";
import { StateArena } from "../arena/state-arena.ts";
import { VmClock } from "./vm-clock.ts";

/** More than any step of these tests takes, in ns. */
const SLACK = 10e9;

test("the VM's clock starts at zero and never goes back", () => {
  const clock = new VmClock(new StateArena());
  clock.start();
  let last = clock.now();
  expect(last).toBeGreaterThanOrEqual(0);
  expect(last).toBeLessThan(SLACK);
  for (let i = 0; i < 1000; i++) {
    const now = clock.now();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
});

test("the VM's clock is the same to every thread", () => {
  const arena = new StateArena();
  const [main, vcpu] = [new VmClock(arena), new VmClock(new StateArena(arena.buffer))];
  main.start();
  const first = main.now();
  const second = vcpu.now();
  expect(second).toBeGreaterThanOrEqual(first);
  expect(main.now()).toBeGreaterThanOrEqual(second);
});

test("the VM's clock continues from a saved time, also one beyond the host's own", () => {
  const clock = new VmClock(new StateArena());
  for (const saved of [0, 5e9, 3e15]) {
    clock.continueFrom(saved);
    const now = clock.now();
    // the base is whole ns, and doubles of this size are fractions of a µs apart
    expect(now).toBeGreaterThanOrEqual(saved - 1000);
    expect(now).toBeLessThan(saved + SLACK);
  }
});

test("the wall clock is the host's", () => {
  const clock = new VmClock(new StateArena());
  const before = Date.now();
  const wall = Number(clock.wallNs() / 1_000_000n);
  expect(wall).toBeGreaterThanOrEqual(before - 1);
  expect(wall).toBeLessThanOrEqual(Date.now() + 1);
});
