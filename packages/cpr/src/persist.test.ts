import { describe, expect, test } from "bun:test";
import * as libc from "@vmm/libc";
import { newFds } from "@vmm/libc/testing";
import { CprError } from "./cpr-error.ts";
import { type CprState, decodeCprState, encodeCprState } from "./cpr-state.ts";
import { CPR_STATE_ENV } from "./environment.ts";
import { FdTable } from "./fd-table.ts";
import { cprExecLoadState, cprExecPersistState, cprExecUnpersistState, type Environment } from "./persist.ts";
import { describeFds, givePreservedFdsBack, preserveFds } from "./preserved-fds.ts";
import { sealedMemfd } from "./sealed-memfd.ts";

const EMPTY: CprState = {
  writer: "0.1.0",
  mode: "cpr-exec",
  attempt: 0,
  fds: [],
  ids: [{ name: "ioas", value: 3 }],
  main: { type: "memfd" },
  oldCommand: ["vmm", "--config", "/run/vmm/a/config.json"],
  oldSurroundings: { umask: 0o022 },
  oldConfiguration: { name: "a", cpus: 1 },
  children: { teardownHelper: 41, keeper: 42 },
  startNs: 1e12,
  setupEndNs: 1.1e12,
  phases: [{ name: "setup", startNs: 1e12, endNs: 1.1e12 }],
};

/** A state with one memfd, which lives as long as the callback. */
function withState(use: (state: CprState, table: FdTable, memfd: number) => void): void {
  const memfd = libc.memfdCreate("persist", libc.MFD_CLOEXEC);
  const table = new FdTable();
  table.saveFd("ram0", 0, memfd);
  try {
    use({ ...EMPTY, fds: describeFds(table) }, table, memfd);
  } finally {
    libc.close(memfd);
  }
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (!(error instanceof CprError)) throw error;
    expect(error.message).not.toContain("\n");
    return error.code;
  }
  return "loaded";
}

describe("CPR state", () => {
  test("comes back as it was written, from a new environment, and leaves no trace of how it came", () => {
    withState((state) => {
      const before = libc.openFds();
      const env: Environment = { HOME: "/root" };
      const fd = cprExecPersistState(state, env);
      expect(env[CPR_STATE_ENV]).toBe(String(fd));
      expect(() => libc.pwriteAll(fd, new Uint8Array(1), 0)).toThrow("EPERM");
      const loaded = cprExecLoadState(env);
      expect(loaded?.state).toEqual(state);
      expect(loaded?.fds.entries()).toEqual(
        state.fds.map(({ name, id, fd: number }) => ({ name, id, fd: number })),
      );
      expect(env).toEqual({ HOME: "/root" });
      expect(newFds(before)).toEqual([]);
    });
  });

  test("of a version that noted less of the old process is read as it is", () => {
    const { oldSurroundings: _around, oldConfiguration: _built, ...less } = EMPTY;
    expect(decodeCprState(encodeCprState(less))).toEqual(less);
  });

  test("is undone exactly", () => {
    withState((state) => {
      const before = libc.openFds();
      const env: Environment = { HOME: "/root" };
      cprExecUnpersistState(cprExecPersistState(state, env), env);
      expect(env).toEqual({ HOME: "/root" });
      expect(newFds(before)).toEqual([]);
    });
  });

  test("is not there where the environment names none", () => {
    expect(cprExecLoadState({})).toBeUndefined();
    expect(cprExecLoadState({ [CPR_STATE_ENV]: "" })).toBeUndefined();
  });

  test("cut short at any length, or with any byte changed, is refused", () => {
    const whole = encodeCprState(EMPTY);
    for (let length = 1; length < whole.length; length++) {
      expect([length, codeOf(() => decodeCprState(whole.slice(0, length)))]).toEqual([
        length,
        "state-truncated",
      ]);
    }
    for (let at = 0; at < whole.length; at++) {
      const changed = whole.slice();
      changed[at] = (changed[at] as number) ^ 0x20;
      expect([at, codeOf(() => decodeCprState(changed))]).not.toEqual([at, "loaded"]);
    }
  });

  test("of another version, or something else altogether, is refused in one clear line", () => {
    const newer = encodeCprState(EMPTY);
    newer[8] = 9;
    expect(() => decodeCprState(newer)).toThrow("format version 9, and this program reads version 1");
    expect(() => decodeCprState(Buffer.from("#!/bin/sh\necho"))).toThrow("this is not a CPR state");
    expect(codeOf(() => cprExecLoadState({ [CPR_STATE_ENV]: "seven" }))).toBe("state-invalid");
    expect(codeOf(() => cprExecLoadState({ [CPR_STATE_ENV]: "999999" }))).toBe("state-magic");
    const pipe = libc.pipe();
    expect(codeOf(() => cprExecLoadState({ [CPR_STATE_ENV]: String(pipe[0]) }))).toBe("state-magic");
    for (const fd of pipe) libc.close(fd);
    const open = libc.memfdCreate("open", libc.MFD_CLOEXEC);
    expect(() => cprExecLoadState({ [CPR_STATE_ENV]: String(open) })).toThrow("it is not a sealed memfd");
    libc.close(open);
    const empty = sealedMemfd("empty", new Uint8Array(0));
    expect(codeOf(() => cprExecLoadState({ [CPR_STATE_ENV]: String(empty) }))).toBe("state-magic");
  });

  test("whose parts make no sense is refused by the part", () => {
    const forged = (change: object) => () => decodeCprState(encodeCprState({ ...EMPTY, ...change }));
    for (const [change, part] of [
      [{ mode: "cpr-magic" }, "mode is not one of"],
      [{ attempt: -1 }, "attempt"],
      [{ fds: [{ name: "a", id: 0, fd: -5 }] }, "fds[0].fd"],
      [{ ids: "none" }, "ids is not a list"],
      [{ main: { type: "carrier-pigeon" } }, "main.type"],
      [{ oldCommand: [1] }, "oldCommand[0]"],
      [{ children: { keeper: 0 } }, "keeper"],
      [{ oldSurroundings: "root" }, "oldSurroundings"],
      [{ oldConfiguration: [] }, "oldConfiguration"],
    ] as const) {
      expect(forged(change)).toThrow(part);
    }
  });

  test("names an fd that is not what it was", () => {
    withState((state, _, memfd) => {
      const load = (fds: CprState["fds"]) => {
        const env: Environment = {};
        cprExecPersistState({ ...state, fds }, env);
        return codeOf(() => cprExecLoadState(env));
      };
      const [ram] = state.fds as [CprState["fds"][number]];
      expect(load([ram])).toBe("loaded");
      expect(load([{ ...ram, fd: 999_999 }])).toBe("fd-missing");
      expect(load([{ ...ram, kind: "eventfd" }])).toBe("fd-kind");
      expect(load([{ ...ram, ino: "1" }])).toBe("fd-kind");
      expect(load([ram, ram])).toBe("fd-name");
      libc.ftruncate(memfd, 4096);
      expect(load([ram])).toBe("fd-kind");
    });
  });
});

describe("preserved fds", () => {
  test("are those of the table and no other, until they are given back", () => {
    withState((_, table, memfd) => {
      const stray = libc.dup(memfd);
      libc.setCloexec(stray, false);
      try {
        preserveFds(table);
        expect([libc.isCloexec(memfd), libc.isCloexec(stray)]).toEqual([false, true]);
        givePreservedFdsBack();
        expect([libc.isCloexec(memfd), libc.isCloexec(stray)]).toEqual([true, true]);
      } finally {
        libc.close(stray);
      }
    });
  });

  test("that are not open cannot be described, and the entry is named", () => {
    const table = new FdTable();
    table.saveFd("nic0", 2, 999_999);
    expect(() => describeFds(table)).toThrow('fd 999999 cannot be preserved as "nic0": it is not open');
  });
});
