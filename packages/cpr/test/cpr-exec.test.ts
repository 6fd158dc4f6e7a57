/** cpr-exec of the toy machine: updates that work, and every way in which they fail before and at the exec. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Toy, type ToyInfo, type ToyResources, toyCommand, withToy } from "./toy.ts";

/** What must not change: fd numbers and paths, the table, children, environment. */
function traces({ fds, table, ids, nonblocking, children, environment }: ToyResources) {
  return { fds, table, ids, nonblocking, children, environment };
}

/** The guest went on: from where it was, once, with its memory. */
function expectSameGuest(before: ToyInfo, after: ToyInfo): void {
  expect(after.secret).toBe(before.secret);
  expect(after.count).toBeGreaterThanOrEqual(before.count);
  expect(after.clashes).toBe(0);
  expect(after.runState).toBe("running");
}

async function expectRuns(toy: Toy): Promise<void> {
  const { count } = await toy.info();
  await toy.until("counting", (now) => now.count > count);
}

/** A following healthy update works, and leaves what there was after the first one. */
async function expectHealthy(toy: Toy, reference: ToyResources): Promise<void> {
  const before = await toy.info();
  const after = await toy.update(toyCommand());
  expect(after.status).toBe("completed");
  expectSameGuest(before, after);
  expect(traces(await toy.resources())).toEqual(traces(reference));
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "vmm-cpr-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("an update by exec", () => {
  test("keeps pid, memory, state, fds and ids, again and again, and leaves nothing", async () => {
    await withToy(async (toy) => {
      const first = await toy.info();
      await toy.update(toyCommand());
      const reference = await toy.resources();
      expect(reference.fds.filter(({ fd, cloexec }) => fd > 2 && !cloexec)).toEqual([]);
      expect(reference.ids).toEqual([{ name: "toy", value: 77 }]);
      expect(reference.children).toEqual([]);
      expect(reference.environment).toEqual([]);
      for (let i = 0; i < 5; i++) await expectHealthy(toy, reference);
      const last = await toy.info();
      expect(last.pid).toBe(first.pid);
      expect(last.generation).toBe(first.generation + 6);
      expectSameGuest(first, last);
    });
  });

  test("reports the pause and its phases in the new process", async () => {
    await withToy(async (toy) => {
      const info = await toy.update(toyCommand());
      expect(info.status).toBe("completed");
      expect(info["x-mode"]).toBe("cpr-exec");
      const names = info["x-phases"]?.map(({ name }) => name);
      expect(names).toEqual(["preflight", "setup", "keeper", "stop", "save", "persist", "exec", "validate"]);
      const pause = info["x-phases"]?.slice(3).reduce((sum, phase) => sum + phase["duration-ns"], 0);
      expect(Math.abs((info["x-downtime-ns"] ?? 0) - (pause ?? 0))).toBeLessThan(1e6);
      expect(info["setup-time"]).toBeGreaterThan(0);
      expect(info["total-time"]).toBeGreaterThanOrEqual(info.downtime ?? 0);
    });
  });

  test("goes through a wrapper that execs the VMM", async () => {
    await withToy(async (toy) => {
      const [bun, program] = toyCommand() as [string, string];
      const info = await toy.update(["sh", "-c", 'exec "$@"', "sh", bun, program, "--wrapped"], {});
      expect(info.status).toBe("completed");
      expect(info.argv).toEqual(["--wrapped"]);
    });
  });

  test("hands the state over in a file where it is told to", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        const path = join(folder, "state");
        const before = await toy.info();
        const after = await toy.update(toyCommand(), { uri: `file:${path}`, preflight: false });
        expect(after.status).toBe("completed");
        expectSameGuest(before, after);
        expect(existsSync(path)).toBe(true);
        const { ino } = statSync(path);
        const again = await toy.update(toyCommand(), { uri: `file:${path}`, preflight: false });
        expect(again.status).toBe("completed");
        expect(statSync(path).ino).not.toBe(ino);
        expect(readdirSync(folder)).toEqual(["state"]);
        const channels = [
          { "channel-type": "main", addr: { transport: "file", filename: path, offset: 64 } },
        ];
        expect((await toy.update(toyCommand(), { channels, preflight: false })).status).toBe("completed");
      });
    });
  });

  for (const [what, replace] of [
    ["removed", () => {}],
    ["replaced by a program that is no VMM", (path: string) => copyFileSync("/bin/true", path)],
  ] as const) {
    test(`goes on from a program whose file was ${what}: the keeper is the program that runs`, async () => {
      await withFolder(async (folder) => {
        const program = join(folder, "program");
        copyFileSync(process.execPath, program);
        const [, ...words] = toyCommand();
        const use = async (toy: Toy) => {
          await toy.info();
          rmSync(program);
          replace(program);
          const after = await toy.update(["sh", "-c", "kill -9 $$"]);
          expect(after["error-desc"]).toBe("the new VMM died before it ran the guest");
          await expectRuns(toy);
          expect((await toy.update(toyCommand())).status).toBe("completed");
        };
        await withToy(use, [program, ...words]);
      });
    });
  }

  test("of a guest that is stopped does not start it", async () => {
    await withToy(async (toy) => {
      await toy.ask("stop");
      const before = await toy.info();
      const after = await toy.update(toyCommand());
      expect([after.status, after.runState, after.count]).toEqual(["completed", "prelaunch", before.count]);
      await toy.ask("cont");
      await expectRuns(toy);
      await toy.ask("stop");
      await toy.ask("break", ["saveState"]);
      const failed = await toy.update(toyCommand(), { preflight: false });
      expect([failed.status, failed.runState]).toEqual(["failed", "paused"]);
    });
  });
});

describe("a command that cannot be run", () => {
  const refused = async (toy: Toy, command: readonly string[], args: object = { preflight: false }) => {
    await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": command });
    return toy.ask("migrate", args).then(
      () => "accepted",
      (error) => (error as Error).message,
    );
  };

  test("is refused before the guest is stopped, with the reason", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        const reference = await toy.resources();
        await toy.ask("events");
        const plain = join(folder, "plain");
        writeFileSync(plain, "text");
        expect(await refused(toy, [join(folder, "none")])).toContain("there is no such file");
        expect(await refused(toy, [folder])).toContain("it is a directory, not a program");
        expect(await refused(toy, [plain])).toContain("it is not executable");
        expect(await refused(toy, ["no-such-program-anywhere"])).toContain("it is not on PATH");
        expect(await refused(toy, [`${plain}/below`])).toContain("ENOTDIR");
        expect(await toy.ask("events")).toEqual([]);
        expect(traces(await toy.resources())).toEqual(traces(reference));
        expect((await toy.info()).status).toBe("none");
      });
    });
  });

  test("at the exec itself is taken back: the guest runs on, nothing is left, the next update works", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        await toy.update(toyCommand());
        const reference = await toy.resources();
        const notAProgram = join(folder, "not-a-program");
        writeFileSync(notAProgram, "\x7fELF but not really");
        chmodSync(notAProgram, 0o755);
        const tooLong = ["/bin/true", ...Array.from({ length: 40 }, () => "x".repeat(100_000))];
        for (const [command, errno] of [
          [[notAProgram], "ENOEXEC"],
          [tooLong, "E2BIG"],
        ] as const) {
          await toy.ask("events");
          const before = await toy.info();
          const after = await toy.update(command);
          expect(after.status).toBe("failed");
          expect(after["error-desc"]).toContain(errno);
          expect(after.pid).toBe(before.pid);
          expectSameGuest(before, after);
          await expectRuns(toy);
          expect(await toy.ask("events")).toEqual([
            ...["setup", "STOP", "active", "device", "detach", "completed"],
            ...["attach", "RESUME", "failed"],
          ]);
          expect(traces(await toy.resources())).toEqual(traces(reference));
        }
        await expectHealthy(toy, reference);
      });
    });
  });
});

describe("a step that fails", () => {
  test("in the machine is taken back, and told once", async () => {
    await withToy(async (toy) => {
      await toy.update(toyCommand());
      const reference = await toy.resources();
      for (const call of ["stop", "detachIrqfds", "saveState"]) {
        const before = await toy.info();
        await toy.ask("break", [call]);
        const after = await toy.update(toyCommand());
        expect([after.status, after["error-desc"]]).toEqual(["failed", `${call} broke`]);
        expectSameGuest(before, after);
        await expectRuns(toy);
        expect(traces(await toy.resources())).toEqual(traces(reference));
      }
      await toy.ask("break", []);
      await expectHealthy(toy, reference);
    });
  });

  test("at the file for the state leaves no file, and a full disk is one line", async () => {
    await withToy(async (toy) => {
      await toy.update(toyCommand());
      const reference = await toy.resources();
      const after = await toy.update(toyCommand(), { uri: "file:/dev/full,offset=1", preflight: false });
      expect(after["error-desc"]).toMatch(/^cannot save the state to \/dev\/full: .*(ENOSPC|ESPIPE)/);
      // what can be told before is refused before the guest is stopped
      await toy.ask("events");
      const missing = toy.update(toyCommand(), { uri: "file:/no/such/folder/state", preflight: false });
      expect(await missing.catch((error) => (error as Error).message)).toContain("there is no folder");
      expect(await toy.ask("events")).toEqual([]);
      await expectHealthy(toy, reference);
    });
  });

  test("after the state was written to a file removes the file, or brings back what it replaced", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        const program = join(folder, "program");
        writeFileSync(program, "\x7fELF");
        chmodSync(program, 0o755);
        const state = join(folder, "state");
        const after = await toy.update([program], { uri: `file:${state}`, preflight: false });
        expect(after.status).toBe("failed");
        expect(existsSync(state)).toBe(false);
        writeFileSync(state, "older");
        expect((await toy.update([program], { uri: `file:${state}`, preflight: false })).status).toBe(
          "failed",
        );
        expect(readFileSync(state, "utf8")).toBe("older");
        expect(readdirSync(folder).sort()).toEqual(["program", "state"]);
      });
    });
  });
});

describe("what stands in the way", () => {
  test("private RAM blocks the mode when it is set, again at migrate, and in query-migrate", async () => {
    await withToy(async (toy) => {
      await toy.ask("set", { mode: "cpr-exec" });
      await toy.ask("private");
      const reason =
        "Memory region ram0 is not compatible with CPR. share=on is required for memory-backend objects.";
      const blocked = await toy.info();
      expect(blocked["blocked-reasons"]).toEqual([reason]);
      for (const call of ["migrate", "preflight"]) await expect(toy.ask(call, {})).rejects.toThrow(reason);
      await toy.ask("set", { mode: "cpr-reboot" });
      await expect(toy.ask("set", { mode: "cpr-exec" })).rejects.toThrow(reason);
      // so that who asks finds out before
      const now = await toy.info();
      expect(now["blocked-reasons"]).toBeUndefined();
      expect(now["x-blocked-reasons"]).toEqual({ "cpr-transfer": [reason], "cpr-exec": [reason] });
      await expect(toy.ask("preflight")).rejects.toThrow("mode cpr-reboot runs no new command");
    });
  });

  test("wrong arguments are refused with a reason and change nothing", async () => {
    await withToy(async (toy) => {
      await toy.ask("set", { mode: "cpr-exec" });
      for (const [name, args, reason] of [
        ["set", { mode: "cpr-magic" }, "expects one of normal, cpr-reboot"],
        ["set", { speed: 3 }, "Parameter 'speed' is unexpected"],
        ["set", { "cpr-exec-command": "vmm" }, "expects a list of words"],
        ["set", { "x-cpr-commit-timeout": -1 }, "expects a number of ms"],
        ["capabilities", [{ capability: "warp", state: true }], "Capability 'warp' is not supported"],
        ["migrate", { uri: "tcp:0:4444" }, "unknown migration protocol"],
        ["migrate", { uri: "file:" }, "names no file"],
        ["migrate", { uri: "file:/a", channels: [] }, "mutually exclusive"],
        ["migrate", { channels: [] }, "no main entry"],
        [
          "migrate",
          { channels: [{ "channel-type": "cpr", addr: { transport: "socket", type: "unix", path: "/a" } }] },
          "no main entry",
        ],
        ["migrate", { uri: "unix:/a" }, "cpr-exec needs a file: uri"],
        ["continue", "pre-switchover", "Migration not in expected state: none"],
      ] as const) {
        expect([name, args, await toy.ask(name, args).catch((error) => error.message)]).toEqual([
          name,
          args,
          expect.stringContaining(reason),
        ]);
      }
      expect((await toy.info()).status).toBe("none");
    });
  });
});

test("where the working directory was removed fails with that as its reason", async () => {
  await withFolder(async (folder) => {
    const gone = join(folder, "gone");
    mkdirSync(gone);
    const use = async (toy: Toy) => {
      await toy.info();
      rmdirSync(gone);
      const { status, "error-desc": reason } = await toy.update(toyCommand());
      const why = "the working directory of this VMM was removed: no other VMM can start there";
      expect([status, reason]).toEqual(["failed", why]);
      await expectRuns(toy);
    };
    await withToy(use, ["sh", "-c", `cd ${gone}; exec "$@"`, "sh", ...toyCommand()]);
  });
});

describe("a migration that is cancelled", () => {
  test("in pre-switchover ends as cancelled, with the guest running", async () => {
    await withToy(async (toy) => {
      await toy.update(toyCommand());
      const reference = await toy.resources();
      await toy.ask("capabilities", [{ capability: "pause-before-switchover", state: true }]);
      await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand() });
      await toy.ask("events");
      await toy.ask("migrate", { preflight: false });
      await toy.until("in pre-switchover", ({ status }) => status === "pre-switchover");
      expect(toy.ask("migrate", {})).rejects.toThrow("There's a migration process in progress");
      await toy.ask("cancel");
      const after = await toy.until("cancelled", ({ status }) => status === "cancelled");
      expect(after["error-desc"]).toBeUndefined();
      await toy.ask("finished");
      expect(await toy.ask("events")).toEqual([
        ...["setup", "STOP", "active", "pre-switchover", "cancelling", "RESUME", "cancelled"],
      ]);
      expect(traces(await toy.resources())).toEqual(traces(reference));
      await expectRuns(toy);
    });
  });

  test("goes on where it is told to go on", async () => {
    await withToy(async (toy) => {
      const before = await toy.info();
      await toy.ask("capabilities", [{ capability: "pause-before-switchover", state: true }]);
      await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand() });
      await toy.ask("migrate", { preflight: false });
      await toy.until("in pre-switchover", ({ status }) => status === "pre-switchover");
      await toy.ask("continue", "pre-switchover");
      const after = await toy.until("over", ({ generation }) => generation > before.generation);
      expect(after.status).toBe("completed");
      expectSameGuest(before, after);
    });
  });

  test("during setup leaves no keeper", async () => {
    await withToy(async (toy) => {
      await toy.update(toyCommand());
      const reference = await toy.resources();
      await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand() });
      const migrating = toy.ask("migrate", { preflight: false });
      const cancelling = toy.ask("cancel");
      await Promise.all([migrating, cancelling]);
      await toy.until("over", ({ status }) => status === "cancelled");
      await toy.ask("finished");
      expect(traces(await toy.resources())).toEqual(traces(reference));
      await expectHealthy(toy, reference);
    });
  });

  test("and closed for good refuses the next one: a VM that ends is not to go on in another program", async () => {
    await withToy(async (toy) => {
      await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand() });
      const migrating = toy.ask("migrate", { preflight: false });
      await Promise.all([migrating, toy.ask("close")]);
      expect((await toy.info()).status).toBe("cancelled");
      expect(toy.ask("migrate", { preflight: false })).rejects.toThrow("The VM is about to end");
      await expectRuns(toy);
    });
  });

  test("and closed while the new command is asked does not begin after the answer", async () => {
    await withToy(async (toy) => {
      await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand() });
      const migrating = toy.ask("migrate");
      migrating.catch(() => {});
      await toy.ask("close");
      expect(migrating).rejects.toThrow();
      expect((await toy.info()).status).toBe("none");
      await expectRuns(toy);
    });
  });
});
