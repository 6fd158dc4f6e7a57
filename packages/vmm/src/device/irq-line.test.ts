import { expect, test } from "bun:test";
import { StateArena } from "../arena/state-arena.ts";
import { IrqLine } from "./irq-line.ts";

function newLine(gsi: number, trigger: "edge" | "level", arena = new StateArena()) {
  const drives: [number, number][] = [];
  const line = new IrqLine(arena, gsi, trigger, (pin, level) => drives.push([pin, level]));
  return { line, drives, arena };
}

test("an interrupt line is driven when its level changes, and only then", () => {
  const { line, drives } = newLine(4, "edge");
  for (const level of [false, true, true, false, false, true]) line.set(level);
  expect(drives).toEqual([
    [4, 1],
    [4, 0],
    [4, 1],
  ]);
  expect(line.level).toBe(1);
});

test("an interrupt line has one level for all threads", () => {
  const main = newLine(9, "level");
  const vcpu = newLine(9, "level", new StateArena(main.arena.buffer));
  main.line.set(true);
  expect(vcpu.line.level).toBe(1);
  vcpu.line.set(true);
  expect(vcpu.drives).toEqual([]);
  vcpu.line.set(false);
  expect([vcpu.drives, main.line.level]).toEqual([[[9, 0]], 0]);
});

test("after a load an asserted level is driven again, and an edge or a low line is not", () => {
  for (const [trigger, level, expected] of [
    ["level", true, 1],
    ["level", false, 0],
    ["edge", true, 0],
    ["edge", false, 0],
  ] as const) {
    const { line, drives } = newLine(9, trigger);
    line.set(level);
    drives.length = 0;
    line.redrive();
    expect(drives.length).toBe(expected);
  }
});

test("two devices cannot have the same interrupt line", () => {
  const { arena } = newLine(4, "edge");
  expect(() => newLine(4, "edge", arena)).toThrow(/"irq4" is claimed twice/);
});
