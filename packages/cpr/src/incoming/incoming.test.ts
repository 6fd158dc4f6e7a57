import { expect, test } from "bun:test";
import type { CprState } from "../cpr-state.ts";
import { LAST_ATTEMPT } from "../exec/old-command.ts";
import { FdTable } from "../fd-table.ts";
import { PhaseClock } from "../phases.ts";
import { Incoming } from "./incoming.ts";

const STATE: CprState = {
  writer: "0.1.0",
  mode: "cpr-exec",
  attempt: 0,
  fds: [],
  ids: [],
  main: { type: "memfd" },
  oldCommand: ["vmm"],
  oldConfiguration: { name: "a" },
  children: {},
  startNs: 0,
  setupEndNs: 0,
  phases: [],
};

const incoming = (state: Partial<CprState>) =>
  new Incoming({ ...STATE, ...state }, new FdTable(), {}, new PhaseClock());

test("only the old command is told what its machine was built from", () => {
  expect(incoming({ attempt: 0 }).configuration).toBeUndefined();
  expect(incoming({ attempt: 1 }).configuration).toEqual({ name: "a" });
  expect(incoming({ attempt: LAST_ATTEMPT }).configuration).toEqual({ name: "a" });
});
