/** cpr-transfer of the toy machine: the guest goes on in another process, or where it was, and never in both. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kill, killIfThere, SIGCONT, SIGKILL, SIGSTOP } from "@vmm/libc";
import { type Toy, type ToyInfo, type ToyResources, toyCommand, withToy } from "./toy.ts";

setDefaultTimeout(60_000);

const PATIENCE_MS = 10_000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never ${what}`);
    await Bun.sleep(2);
  }
}

/** The process that a transfer has started: the source's child a moment after `migrate`, or who answers for it by then. */
async function successorOf(toy: Toy, source: number): Promise<{ pid: number }> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await Bun.sleep(1)) {
    const [child] = await toy.ask<{ pid: number }[]>("children");
    if (child) return child;
    const { pid } = await toy.info();
    if (pid !== source) return { pid };
  }
  throw new Error(`no successor: ${toy.stderr}`);
}

/** Whether the process runs. One that nobody reaps, as its parent is gone too, does not. */
function alive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "vmm-transfer-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Begins a transfer and waits until it is over, in either process. */
async function transfer(toy: Toy, command: readonly string[], args: object = {}): Promise<ToyInfo> {
  await toy.ask("set", { mode: "cpr-transfer", "cpr-exec-command": command });
  const { generation } = await toy.info();
  await toy.ask("migrate", args);
  return toy.until("over", (now) => now.status === "failed" || now.generation > generation);
}

/** What must not grow: the table, and what is open beyond stdio. Numbers and order may be others in another process. */
function traces({ fds, table, ids, nonblocking, children, environment }: ToyResources) {
  return {
    fds: fds.filter(({ fd }) => fd > 2).map(({ path }) => path.replace(/\d+/g, "N")),
    names: table.map(({ name }) => name).sort(),
    ...{ ids, nonblocking, children, environment },
  };
}

async function expectRuns(toy: Toy): Promise<void> {
  const { count } = await toy.info();
  const { clashes } = await toy.until("counting", (now) => now.count > count);
  expect(clashes).toBe(0);
}

/** The guest went on where it was, with its memory. */
function expectSameGuest(before: ToyInfo, after: ToyInfo): void {
  expect(after.secret).toBe(before.secret);
  expect(after.count).toBeGreaterThanOrEqual(before.count);
  expect(after.clashes).toBe(0);
  expect(after.runState).toBe("running");
}

describe("a transfer", () => {
  test("goes to a process that the source starts, again and again, and leaves nothing", async () => {
    await withToy(async (toy) => {
      await transfer(toy, toyCommand());
      const reference = await toy.resources();
      expect(reference.ids).toEqual([{ name: "toy", value: 77 }]);
      expect(reference.fds.filter(({ fd, cloexec }) => fd > 2 && !cloexec)).toEqual([]);
      for (let i = 0; i < 4; i++) {
        const before = await toy.info();
        const after = await transfer(toy, toyCommand());
        expect(after.status).toBe("completed");
        expect(after.pid).not.toBe(before.pid);
        expectSameGuest(before, after);
        await until("gone", () => !alive(before.pid));
        expect(traces(await toy.resources())).toEqual(traces(reference));
        await expectRuns(toy);
      }
      // and an update of another mode goes on from there
      const exec = await toy.update(toyCommand());
      expect(exec.status).toBe("completed");
    });
  });

  test("goes to a process that was started by hand, whose socket is private", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        const path = join(folder, "cpr.sock");
        const before = await toy.info();
        // in a shell that lives on: the toy's stdio is the successor's, as it would be in a terminal
        await toy.ask("spawn", toyCommand("--incoming", `cpr:${path}`));
        await until("listening", () => existsSync(path));
        expect(statSync(path).mode & 0o777).toBe(0o600);
        await toy.ask("set", { mode: "cpr-transfer" });
        await toy.ask("migrate", { uri: `cpr:${path}` });
        const after = await toy.until("over", ({ generation }) => generation > before.generation);
        expectSameGuest(before, after);
        expect(after.status).toBe("completed");
        expect(existsSync(path)).toBe(false);
      });
    });
  });

  test("takes QEMU's channels, the state by a socket or a file of its own", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        for (const [n, main] of [
          { transport: "socket", type: "unix", path: join(folder, "main.sock") },
          { transport: "file", filename: join(folder, "state"), offset: 0 },
        ].entries()) {
          const path = join(folder, `cpr${n}.sock`);
          const before = await toy.info();
          await toy.ask("spawn", toyCommand("--incoming", `cpr:${path}`));
          await until("listening", () => existsSync(path));
          await toy.ask("set", { mode: "cpr-transfer" });
          await toy.ask("migrate", {
            channels: [
              { "channel-type": "main", addr: main },
              { "channel-type": "cpr", addr: { transport: "socket", type: "unix", path } },
            ],
          });
          const after = await toy.until("over", ({ generation }) => generation > before.generation);
          expectSameGuest(before, after);
          await until("gone", () => !alive(before.pid));
        }
        expect(existsSync(join(folder, "main.sock"))).toBe(false);
        expect(existsSync(join(folder, "state"))).toBe(true);
      });
    });
  });

  test("reports the pause and its phases in the new process; the source tells of each status", async () => {
    await withToy(async (toy) => {
      await toy.ask("capabilities", [{ capability: "pause-before-switchover", state: true }]);
      await toy.ask("set", { mode: "cpr-transfer", "cpr-exec-command": toyCommand() });
      const { generation } = await toy.info();
      await toy.ask("events");
      await toy.ask("migrate", {});
      await toy.until("in pre-switchover", ({ status }) => status === "pre-switchover");
      expect(await toy.ask("events")).toEqual(["setup", "STOP", "active", "pre-switchover"]);
      await toy.ask("continue", "pre-switchover");
      const info = await toy.until("over", (now) => now.generation > generation);
      expect(info["x-mode"]).toBe("cpr-transfer");
      expect(info["x-phases"]?.map(({ name }) => name)).toEqual([
        ...["preflight", "setup", "successor", "stop", "pre-switchover", "save", "send", "receive"],
      ]);
      expect(info["setup-time"]).toBeGreaterThan(0);
      expect(info["x-downtime-ns"]).toBeGreaterThan(0);
      expect(info["total-time"]).toBeGreaterThanOrEqual(info.downtime ?? 0);
    });
  });

  test("of a guest that is stopped does not start it", async () => {
    await withToy(async (toy) => {
      await toy.ask("stop");
      const before = await toy.info();
      const after = await transfer(toy, toyCommand());
      expect([after.status, after.runState, after.count]).toEqual(["completed", "prelaunch", before.count]);
      await toy.ask("cont");
      await expectRuns(toy);
    });
  });

  test("brings what came and went in the fd table while the successor warmed up", async () => {
    await withToy(async (toy) => {
      await toy.ask("save-fd", "early");
      await toy.ask("capabilities", [{ capability: "pause-before-switchover", state: true }]);
      await toy.ask("set", { mode: "cpr-transfer", "cpr-exec-command": toyCommand() });
      const { generation } = await toy.info();
      await toy.ask("migrate", {});
      await toy.until("in pre-switchover", ({ status }) => status === "pre-switchover");
      const early = await toy.ask("drop-fd", "early");
      // under the same name, but another object
      const again = await toy.ask<string>("save-fd", "early");
      const late = await toy.ask<string>("save-fd", "late");
      expect(again).not.toBe(early);
      await toy.ask("continue", "pre-switchover");
      await toy.until("over", (now) => now.generation > generation);
      const { table, fds } = await toy.resources();
      const identities = await toy.ask<Record<string, string>>("identities");
      expect([identities.early, identities.late]).toEqual([again, late]);
      expect(table.map(({ name }) => name).sort()).toEqual(["early", "late", "ram0"]);
      expect(fds.filter(({ path }) => path.startsWith("socket:"))).toHaveLength(2);
    });
  });
});

describe("a successor that is not fit", () => {
  test("is refused before the guest stops, and nothing is left of it", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        await transfer(toy, toyCommand());
        const reference = await toy.resources();
        for (const [command, reason] of [
          [["true"], "the successor ended with status 0 before it was ready"],
          [["sh", "-c", "exit 7"], "the successor ended with status 7 before it was ready"],
          [["sh", "-c", "kill -9 $$"], "the successor was ended by SIGKILL before it was ready"],
          [["sleep", "600"], "the successor is not ready after 300 ms"],
          [toyCommand("--fault", "report:block"), "the preflight found: toy0: version 9 is too new"],
          [toyCommand("--fault", "begin-exit"), "the successor ended with status 3 before it was ready"],
          [toyCommand("--fault", "build-segv"), "the successor was ended by SIGSEGV before it was ready"],
          [toyCommand("--fault", "build-throw"), "the successor failed: fault at build"],
          [toyCommand("--fault", "build-hang"), "the successor is not ready after 300 ms"],
        ] as const) {
          await toy.ask("events");
          const hangs = reason.endsWith("after 300 ms");
          await toy.ask("set", { "x-cpr-preflight-timeout": hangs ? 300 : 20_000 });
          const before = await toy.info();
          const after = await transfer(toy, command);
          expect([command, after.status, after["error-desc"]]).toEqual([command, "failed", reason]);
          await toy.ask("finished");
          expect(await toy.ask("events")).toEqual(["setup", "failed"]);
          expect(after.pid).toBe(before.pid);
          expectSameGuest(before, after);
          expect(await toy.resources()).toEqual(reference);
        }
        expect(await refusal(toy, { uri: `cpr:${folder}/none` })).toContain("no successor listens at");
        writeFileSync(join(folder, "plain"), "");
        expect(await refusal(toy, { uri: `cpr:${folder}/plain` })).toContain("no successor listens at");
        await toy.ask("set", { "cpr-exec-command": ["/no/such/program"] });
        expect(toy.ask("migrate", {})).rejects.toThrow("there is no such file");
        await toy.ask("set", { "x-cpr-preflight-timeout": 10_000 });
        expect((await transfer(toy, toyCommand())).status).toBe("completed");
        expect(traces(await toy.resources())).toEqual(traces(reference));
      });
    });
  });
});

test("that follows a failed one at once waits for the rest of that to be gone", async () => {
  await withToy(async (toy) => {
    const command = toyCommand("--fault", "build-hang");
    const set = { mode: "cpr-transfer", "cpr-exec-command": command, "x-cpr-preflight-timeout": 300 };
    await toy.ask("set", set);
    await toy.ask("migrateAgain", {});
    await toy.ask("finished");
    expect(await toy.ask("events")).toEqual(["setup", "failed", "setup", "failed"]);
    expect((await toy.resources()).children).toEqual([]);
  });
});

/** Why a migration failed. */
async function refusal(toy: Toy, args: object): Promise<string> {
  await toy.ask("migrate", args);
  const { "error-desc": reason } = await toy.until("over", ({ status }) => status === "failed");
  await toy.ask("finished");
  return reason ?? "";
}

describe("a successor that fails once the guest is stopped", () => {
  for (const [fault, reason] of [
    ["ready-exit", "the successor ended before it ran the guest"],
    ["load-throw", "the successor failed: fault at load"],
    ["load-segv", "the successor ended before it ran the guest"],
    ["load-kill", "the successor ended before it ran the guest"],
    ["load-hang", "the successor does not run the guest after 300 ms"],
    ["commit-throw", "the successor failed: fault at commit"],
    ["commit-exit", "the successor ended before it ran the guest"],
    ["commit-hang", "the successor does not run the guest after 300 ms"],
  ] as const) {
    test(`(${fault}) leaves the guest where it was, and a following transfer works`, async () => {
      await withToy(async (toy) => {
        await transfer(toy, toyCommand());
        const reference = await toy.resources();
        const timeoutMs = fault.endsWith("-hang") ? 300 : 20_000;
        await toy.ask("set", { "x-cpr-commit-timeout": timeoutMs });
        await toy.ask("events");
        const before = await toy.info();
        const after = await transfer(toy, toyCommand("--fault", fault));
        await toy.ask("finished");
        expect([after.status, after["error-desc"]]).toEqual(["failed", reason]);
        const events = await toy.ask<string[]>("events");
        if (fault !== "ready-exit" || events.includes("STOP")) {
          expect(events.slice(0, 3)).toEqual(["setup", "STOP", "active"]);
          // one that is gone is found before anything was saved for it
          expect(["", "device,detach,attach"]).toContain(events.slice(3, -2).join());
          expect(events.slice(-2)).toEqual(["RESUME", "failed"]);
        } else expect(events).toEqual(["setup", "failed"]); // its end was seen before the guest was stopped for it
        expect(after.pid).toBe(before.pid);
        expectSameGuest(before, after);
        await expectRuns(toy);
        expect(await toy.resources()).toEqual(reference);
        expect((await transfer(toy, toyCommand())).status).toBe("completed");
        expect(traces(await toy.resources())).toEqual(traces(reference));
      });
    });
  }

  test("(behind a wrapper that waits for it) is killed with that", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        const file = join(folder, "pid");
        const behind = ["sh", "-c", `"$@" & echo $! > ${file}; wait`, "sh"];
        await toy.ask("set", { "x-cpr-commit-timeout": 300 });
        const after = await transfer(toy, [...behind, ...toyCommand("--fault", "load-hang")]);
        expect(after["error-desc"]).toBe("the successor does not run the guest after 300 ms");
        const successor = Number(readFileSync(file, "utf8"));
        await until("killed", () => !alive(successor));
        await expectRuns(toy);
      });
    });
  });

  test("(frozen) finds the guest taken back when it wakes up, even where the source cannot kill it", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        const path = join(folder, "cpr.sock");
        const successor = await toy.ask<number>("spawn", toyCommand("--incoming", `cpr:${path}`));
        await until("listening", () => existsSync(path));
        await toy.ask("capabilities", [{ capability: "pause-before-switchover", state: true }]);
        await toy.ask("set", { mode: "cpr-transfer", "x-cpr-commit-timeout": 200 });
        await toy.ask("migrate", { uri: `cpr:${path}` });
        await toy.until("in pre-switchover", ({ status }) => status === "pre-switchover");
        kill(successor, SIGSTOP);
        await toy.ask("continue", "pre-switchover");
        const after = await toy.until("over", ({ status }) => status === "failed");
        expect(after["error-desc"]).toBe("the successor does not run the guest after 200 ms");
        await expectRuns(toy);
        kill(successor, SIGCONT);
        await until("ended", () => !alive(successor));
        const late = "the source has taken the guest back: this process came too late";
        await until("told", () => toy.stderr.includes(late));
        await expectRuns(toy);
      });
    });
  });

  test("(cancelled) in pre-switchover leaves the guest where it was", async () => {
    await withToy(async (toy) => {
      await transfer(toy, toyCommand());
      const reference = await toy.resources();
      await toy.ask("capabilities", [{ capability: "pause-before-switchover", state: true }]);
      await toy.ask("set", { mode: "cpr-transfer", "cpr-exec-command": toyCommand() });
      await toy.ask("migrate", {});
      await toy.until("in pre-switchover", ({ status }) => status === "pre-switchover");
      await toy.ask("cancel");
      await toy.until("cancelled", ({ status }) => status === "cancelled");
      await toy.ask("finished");
      expect(await toy.resources()).toEqual(reference);
      await expectRuns(toy);
    });
  });
});

describe("SIGKILL", () => {
  test("of the successor at 20 points before its commit never costs the guest", async () => {
    await withToy(async (toy) => {
      const before = await toy.info();
      await toy.ask("set", {
        mode: "cpr-transfer",
        "cpr-exec-command": toyCommand("--fault", "commit-hang"),
      });
      for (let point = 0; point < 20; point++) {
        await toy.ask("migrate", {});
        const child = await successorOf(toy, before.pid);
        await Bun.sleep(point * 4);
        killIfThere(child.pid, SIGKILL);
        const after = await toy.until("over", ({ status }) => status === "failed");
        await toy.ask("finished");
        expect(after.pid).toBe(before.pid);
        expectSameGuest(before, after);
      }
      await expectRuns(toy);
      expect((await toy.resources()).children).toEqual([]);
    });
  });

  test("of the successor right after its commit ends the guest with it: the source does not run it", async () => {
    await withToy(async (toy) => {
      const { pid } = await toy.info();
      await toy.ask("set", {
        mode: "cpr-transfer",
        "cpr-exec-command": toyCommand("--fault", "committed-kill"),
      });
      await toy.ask("migrate", {});
      await until("over", () => !alive(pid));
    });
  });

  test("of the source before it sends the state ends the successor, after it leaves it the guest", async () => {
    for (const [point, lives] of [
      ["send-state", false],
      ["published-state", true],
      ["sent-state", true],
    ] as const) {
      await withToy(async (toy) => {
        const armed = await transfer(toy, ["env", `VMM_FAULT=${point}:kill`, ...toyCommand()]);
        await toy.ask("set", { mode: "cpr-transfer", "cpr-exec-command": toyCommand() });
        await toy.ask("migrate", {}).catch(() => {});
        await until("killed", () => !alive(armed.pid));
        if (lives) {
          const after = await toy.info();
          expect(after.pid).not.toBe(armed.pid);
          expectSameGuest(armed, after);
          await expectRuns(toy);
        } else await until("ended", () => toy.stderr.includes("the source is gone"));
      });
    }
  });

  test("of the successor at any moment leaves the guest with exactly one, or ends it with the one that had it", async () => {
    let survived = 0;
    let ended = 0;
    for (let point = 0; point < 12; point++) {
      await withToy(async (toy) => {
        const { pid, secret } = await toy.info();
        await toy.ask("set", { mode: "cpr-transfer", "cpr-exec-command": toyCommand() });
        await toy.ask("migrate", {});
        const child = await successorOf(toy, pid);
        await Bun.sleep(40 + point * 4);
        killIfThere(child.pid, SIGKILL);
        await until("over", () => !alive(child.pid));
        let after: ToyInfo | undefined;
        toy
          .until("over", ({ status }) => status === "failed")
          .then(
            (info) => {
              after = info;
            },
            () => {},
          );
        await until("decided", () => after !== undefined || !alive(pid));
        if (!after) {
          // the successor had won the guest: the source went without it
          ended++;
          return;
        }
        survived++;
        expect([after.pid, after.secret]).toEqual([pid, secret]);
        await expectRuns(toy);
      });
    }
    expect(survived + ended).toBe(12);
  });

  test("of the source at any moment ends both, or leaves the guest with the successor", async () => {
    for (let point = 0; point < 12; point++) {
      await withToy(async (toy) => {
        const before = await toy.info();
        await toy.ask("set", { mode: "cpr-transfer", "cpr-exec-command": toyCommand() });
        await toy.ask("migrate", {});
        const child = await successorOf(toy, before.pid);
        await Bun.sleep(40 + point * 4);
        killIfThere(before.pid, SIGKILL);
        toy.pid = child.pid;
        const took = () => toy.stderr.includes("the source is gone");
        let info: ToyInfo | undefined;
        const asked = toy.info().then((now) => {
          info = now;
        });
        await await until("decided", () => info !== undefined || (took() && !alive(child.pid)));
        if (info) {
          expectSameGuest(before, info);
          await asked;
        } else asked.catch(() => {});
      });
    }
  });
});
