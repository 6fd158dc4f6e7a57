import { describe, expect, test } from "bun:test";
import { close, SOCK_CLOEXEC, SOCK_SEQPACKET, socketpair } from "@vmm/libc";
import { CPR_FD, type CprState } from "../cpr-state.ts";
import { LAST_ATTEMPT } from "../exec/old-command.ts";
import { FdTable } from "../fd-table.ts";
import { receiveMessage } from "../keeper/protocol.ts";
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

function giveUp(attempt: number, failure: string, reason: string, fds: CprState["fds"] = []): string {
  try {
    return incoming({ attempt, failure, fds }).fallback(new Error(reason));
  } catch (error) {
    return (error as Error).message;
  }
}

describe("a guest that the old VMM cannot run either", () => {
  const lost = "nobody is left who could run the guest";

  test("is given up with each reason once, and by whom it was met", () => {
    expect(giveUp(1, "X", "Y")).toBe(`X; then the old VMM failed as well: Y; ${lost}`);
    expect(giveUp(1, "X", "X")).toBe(`X; then the old VMM failed in the same way; ${lost}`);
    expect(giveUp(LAST_ATTEMPT, "X; then the old VMM failed as well: Y", "Y")).toBe(
      `X; then the old VMM failed as well: Y; then the old VMM that the keeper ran failed in the same way; ${lost}`,
    );
  });

  test("is left to the keeper, which is told, where there is one", () => {
    const [ours, theirs] = socketpair(SOCK_SEQPACKET | SOCK_CLOEXEC);
    const fd = {
      name: CPR_FD.keeper,
      id: 0,
      fd: ours,
      kind: "socket",
      dev: "0",
      ino: "0",
      size: -1,
    } as const;
    try {
      expect(giveUp(1, "X", "X", [fd])).toBe(
        "X; then the old VMM failed in the same way; the keeper takes over from here",
      );
      const reason = "X; then the old VMM failed in the same way";
      expect(receiveMessage(theirs)).toMatchObject({ message: { type: "failed", reason } });
    } finally {
      for (const end of [ours, theirs]) close(end);
    }
  });
});

test("only the old command is told what its machine was built from", () => {
  expect(incoming({ attempt: 0 }).configuration).toBeUndefined();
  expect(incoming({ attempt: 1 }).configuration).toEqual({ name: "a" });
  expect(incoming({ attempt: LAST_ATTEMPT }).configuration).toEqual({ name: "a" });
});
