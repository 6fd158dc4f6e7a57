/** What comes after the exec: a new process that cannot, dies, or hangs. The guest goes on under the old command. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { kill, SIGKILL } from "@vmm/libc";
import { type Toy, type ToyInfo, toyCommand, withToy } from "./toy.ts";
import { until } from "./until.ts";

/** Of all processes. */
const commandLines = (): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1");
      } catch {
        return "";
      }
    });

const alive = (pid: number | string) => existsSync(`/proc/${pid}`);

/** Where the update starts from: a toy that has been updated, so that a leak would show as a difference. */
async function startingPoint(toy: Toy) {
  const before = await toy.update(toyCommand());
  const { fds, ...rest } = await toy.resources();
  return { before, ...rest, names: fds.filter(({ fd }) => fd > 2).map(({ path }) => path) };
}

/** The guest runs under the old command, nothing is left, and a following update works. */
async function expectOldRuns(
  toy: Toy,
  start: Awaited<ReturnType<typeof startingPoint>>,
  after: ToyInfo,
  reason: string,
) {
  expect(after.status).toBe("failed");
  expect(after["error-desc"]).toContain(reason);
  expect(after.argv).toEqual([]);
  expect(after.secret).toBe(start.before.secret);
  expect(after.count).toBeGreaterThanOrEqual(start.before.count);
  expect(after.clashes).toBe(0);
  const now = await toy.resources();
  expect(now.children).toEqual([]);
  expect(now.environment).toEqual([]);
  expect(now.nonblocking).toEqual([]);
  expect(now.ids).toEqual(start.ids);
  expect(now.table.map(({ name }) => name)).toEqual(start.table.map(({ name }) => name));
  expect(now.fds.filter(({ fd }) => fd > 2).map(({ path }) => path)).toEqual(start.names);
  const { count } = await toy.info();
  await toy.until("counting", (info) => info.count > count);
  const healthy = await toy.update(toyCommand());
  expect(healthy.status).toBe("completed");
  expect([healthy.secret, healthy.clashes]).toEqual([start.before.secret, 0]);
  expect((await toy.resources()).fds.filter(({ fd }) => fd > 2)).toHaveLength(start.names.length);
}

describe("a new process that cannot load", () => {
  for (const [fault, reason] of [
    ["load-throw", "fault at load"],
    ["commit-throw", "fault at commit"],
  ] as const) {
    test(`(${fault}) goes back to the old command by itself, with the same pid`, async () => {
      await withToy(async (toy) => {
        const start = await startingPoint(toy);
        const after = await toy.update(toyCommand("--fault", fault));
        expect(after.pid).toBe(start.before.pid);
        expect(after["x-phases"]?.map(({ name }) => name)).toContain("fallback");
        await expectOldRuns(toy, start, after, reason);
      });
    });
  }
});

describe("a new process that dies before it runs the guest", () => {
  for (const fault of ["start-exit", "start-segv", "begin-kill", "load-segv", "load-exit", "commit-kill"]) {
    test(`(${fault}) is succeeded by the keeper, which becomes the old VMM`, async () => {
      await withToy(async (toy) => {
        const start = await startingPoint(toy);
        const after = await toy.update(toyCommand("--fault", fault));
        expect(after.pid).not.toBe(start.before.pid);
        await until("gone", () => !alive(start.before.pid));
        await expectOldRuns(toy, start, after, "the new VMM died before it ran the guest");
      });
    });
  }

  test("is succeeded even where it is not a VMM at all, and no preflight was run", async () => {
    await withToy(async (toy) => {
      const start = await startingPoint(toy);
      const after = await toy.update(["true"]);
      await expectOldRuns(toy, start, after, "the new VMM died before it ran the guest");
    });
  });
});

describe("a new process that finds something other than it was left", () => {
  /** A wrapper that does something to what it inherits and then becomes the toy. */
  const wrapped = (script: string) => ["sh", "-c", `${script}; exec "$@"`, "sh", ...toyCommand()];

  for (const [what, script, reason] of [
    ["an fd closed", "exec RAM>&-", 'preserved fd RAM, "ram0", is not open'],
    [
      "an fd of another kind",
      "exec RAM</dev/null",
      'preserved fd RAM, "ram0", was a memfd and is a device now',
    ],
    [
      "a CPR state that is no number",
      "export VMM_CPR_EXEC_STATE=x",
      "the new VMM died before it ran the guest",
    ],
    [
      "a CPR state that is another fd",
      "export VMM_CPR_EXEC_STATE=RAM",
      "the new VMM died before it ran the guest",
    ],
  ] as const) {
    test(`(${what}) touches nothing, and is succeeded by the old VMM`, async () => {
      await withToy(async (toy) => {
        const start = await startingPoint(toy);
        const ram = String(start.table[0]?.fd);
        const after = await toy.update(wrapped(script.replace("RAM", ram)));
        await expectOldRuns(toy, start, after, reason.replace("RAM", ram));
      });
    });
  }
});

describe("a new process that hangs", () => {
  for (const fault of ["start-hang", "load-hang", "commit-hang"]) {
    test(`(${fault}) is killed at the deadline, and then succeeded by the old VMM`, async () => {
      await withToy(async (toy) => {
        const start = await startingPoint(toy);
        await toy.ask("set", { "x-cpr-commit-timeout": 300 });
        const after = await toy.update(toyCommand("--fault", fault));
        expect(after.pid).not.toBe(start.before.pid);
        await until("gone", () => !alive(start.before.pid));
        await expectOldRuns(toy, start, after, "did not run the guest within 300 ms");
      });
    });
  }
});

test("a new process that waits for others is ended with them", async () => {
  await withToy(async (toy) => {
    const start = await startingPoint(toy);
    const marker = `sleep-${process.pid}-${start.before.pid}`;
    await toy.ask("set", { "x-cpr-commit-timeout": 500 });
    // the sleeper has its shell's fds, and a process group of its own
    const sleeper = `setsid sh -c 'sleep 600; : ${marker}'`;
    const after = await toy.update(["sh", "-c", `${sleeper}; : not the last`]);
    expect(after.pid).not.toBe(start.before.pid);
    await until("gone", () => !commandLines().some((line) => line.includes(marker)));
    await expectOldRuns(toy, start, after, "did not run the guest within 500 ms");
  });
});

describe("a new process that is killed from outside", () => {
  test("at 20 points spread over its start loses no guest, and no two ever run it", async () => {
    await withToy(async (toy) => {
      let before = await toy.info();
      // It never commits, so that whenever it is killed, it is killed before that.
      const command = toyCommand("--fault", "commit-hang");
      await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": command });
      for (let point = 0; point < 20; point++) {
        await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": command });
        await toy.ask("migrate", { preflight: false });
        await until("replaced", () =>
          readFileSync(`/proc/${before.pid}/cmdline`, "utf8").includes("commit-hang"),
        );
        await Bun.sleep(point * 2.5);
        kill(before.pid, SIGKILL);
        const after = await toy.until("revived", ({ status }) => status === "failed");
        expect(after.pid).not.toBe(before.pid);
        expect(after.secret).toBe(before.secret);
        expect(after.count).toBeGreaterThanOrEqual(before.count);
        expect(after.clashes).toBe(0);
        before = after;
      }
      const healthy = await toy.update(toyCommand());
      expect(healthy.status).toBe("completed");
      expect((await toy.resources()).children).toEqual([]);
    });
  }, 60_000);
});

describe("the keeper", () => {
  /** The keeper's pid, while the toy waits in pre-switchover. */
  async function armed(toy: Toy): Promise<number> {
    await toy.ask("capabilities", [{ capability: "pause-before-switchover", state: true }]);
    await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand() });
    await toy.ask("migrate", { preflight: false });
    await toy.until("in pre-switchover", ({ status }) => status === "pre-switchover");
    const children = await toy.ask<{ pid: number; command: string }[]>("children");
    const keeper = children.find(({ command }) => command.includes("keeper/main.ts"));
    if (!keeper) throw new Error(`no keeper among ${JSON.stringify(children)}`);
    return keeper.pid;
  }

  test("that is killed before the exec makes the update fail, and the guest goes on", async () => {
    await withToy(async (toy) => {
      await startingPoint(toy);
      const keeper = await armed(toy);
      kill(keeper, SIGKILL);
      await until("dead", () => !alive(keeper));
      await toy.ask("continue", "pre-switchover");
      const after = await toy.until("over", ({ status }) => status === "failed");
      expect(after["error-desc"]).toContain("the keeper ended before it was told of the update");
      await toy.ask("finished");
      expect((await toy.resources()).children).toEqual([]);
      const { count } = await toy.info();
      await toy.until("counting", (info) => info.count > count);
    });
  });

  test("ends by itself when the VMM is killed before the exec", async () => {
    await withToy(async (toy) => {
      const keeper = await armed(toy);
      kill(toy.pid, SIGKILL);
      await until("dead", () => !alive(keeper));
    });
  });
});
