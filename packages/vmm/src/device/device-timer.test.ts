import { expect, test } from "bun:test";
import { StateArena } from "../arena/state-arena.ts";
import { DeviceTimer } from "./device-timer.ts";

function newTimer(arena = new StateArena()) {
  let changes = 0;
  const timer = new DeviceTimer(arena, "t", () => void changes++);
  return { timer, arena, changes: () => changes };
}

test("a timer is not armed until it is, and tells the main thread each time", () => {
  const { timer, changes } = newTimer();
  expect([timer.deadline, changes()]).toEqual([0, 0]);
  timer.arm(1000);
  timer.arm(2000);
  expect([timer.deadline, changes()]).toEqual([2000, 2]);
  timer.disarm();
  expect([timer.deadline, changes()]).toEqual([0, 2]);
});

test("a deadline is whole nanoseconds, never the 0 that means 'not armed'", () => {
  const { timer } = newTimer();
  for (const [deadline, kept] of [
    [0, 1],
    [-5, 1],
    [0.4, 1],
    [1.5, 2],
    [2 ** 53 - 1, 2 ** 53 - 1],
  ] as const) {
    timer.arm(deadline);
    expect(timer.deadline).toBe(kept);
  }
});

test("a deadline that one thread sets is seen by another", () => {
  const main = newTimer();
  const vcpu = newTimer(new StateArena(main.arena.buffer));
  vcpu.timer.arm(77);
  expect([main.timer.deadline, main.changes(), vcpu.changes()]).toEqual([77, 0, 1]);
});
