import { expect, test } from "bun:test";
import { describeUndoFailures, UndoLog } from "./undo-log.ts";

test("steps are taken back in reverse order, each once", () => {
  const undo = new UndoLog();
  const done: string[] = [];
  for (const step of ["a", "b", "c"]) undo.push(step, () => void done.push(step));
  expect(undo.pending).toEqual(["a", "b", "c"]);
  expect(undo.unwind()).toEqual([]);
  expect(undo.unwind()).toEqual([]);
  expect(done).toEqual(["c", "b", "a"]);
});

test("a step that cannot be taken back does not keep the others", () => {
  const undo = new UndoLog();
  const done: string[] = [];
  undo.push("a", () => void done.push("a"));
  undo.push("b", () => {
    throw new Error("no way\nback");
  });
  undo.push("c", () => void done.push("c"));
  const failures = undo.unwind();
  expect(done).toEqual(["c", "a"]);
  expect(describeUndoFailures(failures)).toBe("b: no way");
});

test("a dropped step stays, and so do all after discard", () => {
  const undo = new UndoLog();
  const done: string[] = [];
  const a = undo.push("a", () => void done.push("a"));
  undo.push("b", () => void done.push("b"));
  a.drop();
  a.drop();
  expect(undo.pending).toEqual(["b"]);
  undo.discard();
  undo.unwind();
  expect(done).toEqual([]);
});

test("a step pushed while unwinding is taken back too", () => {
  const undo = new UndoLog();
  const done: string[] = [];
  undo.push("a", () => void undo.push("late", () => void done.push("late")));
  undo.unwind();
  expect(done).toEqual(["late"]);
});
