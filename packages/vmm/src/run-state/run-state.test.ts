import { describe, expect, test } from "bun:test";
import { VmmError } from "../vmm-error.ts";
import {
  isRunState,
  RUN_STATE_TRANSITIONS,
  RUN_STATES,
  type RunState,
  RunStateMachine,
} from "./run-state.ts";

function walk(...states: RunState[]): RunStateMachine {
  const machine = new RunStateMachine();
  for (const state of states) machine.set(state);
  return machine;
}

describe("the run state", () => {
  test("begins as prelaunch", () => {
    expect(new RunStateMachine().current).toBe("prelaunch");
  });

  test("goes the way of a guest that is stopped, continued and powered off", () => {
    expect(walk("running", "paused", "running", "shutdown").current).toBe("shutdown");
  });

  test("goes the way of a live update on both sides", () => {
    expect(walk("running", "finish-migrate", "postmigrate").current).toBe("postmigrate");
    expect(walk("inmigrate", "running").current).toBe("running");
  });

  test("goes back from a live update that failed to what it was before", () => {
    expect(walk("running", "finish-migrate", "running").current).toBe("running");
    expect(walk("running", "paused", "finish-migrate", "paused").current).toBe("paused");
  });

  test("refuses an illegal transition, names both states and stays", () => {
    const machine = walk("running");
    try {
      machine.set("inmigrate");
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(VmmError);
      expect((error as VmmError).code).toBe("run-state");
      expect((error as VmmError).message).toBe('invalid run state transition: "running" to "inmigrate"');
    }
    expect(machine.current).toBe("running");
  });

  test("may be set to what it is", () => {
    expect(walk("running", "running").current).toBe("running");
  });

  test("needs a reset after a shutdown or an internal error only", () => {
    const needing = RUN_STATES.filter((state) => new RunStateMachine(state).needsReset);
    expect(needing).toEqual(["internal-error", "shutdown"]);
  });

  test("is nobody's to change while a migration has the guest, and is again where it is given back", () => {
    const machine = walk("running", "finish-migrate");
    expect(machine.isTaken).toBe(true);
    expect(() => machine.checkOurs()).toThrow(new VmmError("run-state", "Migration is not finalized yet"));
    for (const back of ["running", "paused", "postmigrate"] as const) {
      const other = walk("running", "finish-migrate", back);
      expect(other.isTaken).toBe(false);
      expect(() => other.checkOurs()).not.toThrow();
    }
  });

  test("is the last one, once the guest was handed over to another process", () => {
    const machine = walk("running", "finish-migrate");
    machine.handOver();
    expect(machine.current).toBe("postmigrate");
    expect(() => machine.checkOurs()).toThrow("The guest runs in another process by now: connect again");
    expect(RUN_STATES.filter((state) => machine.canSet(state))).toEqual(["postmigrate"]);
  });

  test("allows exactly what the table allows", () => {
    for (const from of RUN_STATES) {
      const reachable = RUN_STATES.filter((to) => to !== from && new RunStateMachine(from).canSet(to));
      expect(reachable.toSorted()).toEqual([...RUN_STATE_TRANSITIONS[from]].toSorted());
    }
  });

  test("leaves no state without a way out, and no state listed twice", () => {
    for (const targets of Object.values(RUN_STATE_TRANSITIONS)) {
      expect(targets.length).toBeGreaterThan(0);
      expect(new Set(targets).size).toBe(targets.length);
    }
  });

  test("knows its names from other words", () => {
    expect(RUN_STATES.every(isRunState)).toBe(true);
    expect(isRunState("colo")).toBe(false);
  });
});
