/** cpr-reboot and normal of the toy machine: a copy in a file, and a guest that comes from one. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Toy, type ToyInfo, toyCommand, withToy } from "./toy.ts";

setDefaultTimeout(30_000);

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "vmm-file-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Saves to a file and waits until that is over. */
async function save(toy: Toy, path: string, mode = "cpr-reboot"): Promise<ToyInfo> {
  await toy.ask("set", { mode });
  await toy.ask("migrate", { uri: `file:${path}` });
  const info = await toy.until("over", ({ status }) => status === "completed" || status === "failed");
  await toy.ask("finished");
  return info;
}

/** A toy that is started with these words. */
async function withStarted(words: readonly string[], use: (toy: Toy) => Promise<void>): Promise<void> {
  const toy = new Toy(toyCommand(...words));
  try {
    await use(toy);
  } finally {
    await toy.end();
  }
}

/** The first line of what a toy says that does not start. */
async function complaint(words: readonly string[]): Promise<string> {
  const toy = new Toy(toyCommand(...words));
  try {
    expect(await toy.exited).toBe(4);
    for (let looks = 0; toy.stderr === "" && looks < 1000; looks++) await Bun.sleep(1);
    return toy.stderr.trim();
  } finally {
    await toy.end();
  }
}

async function expectRuns(toy: Toy): Promise<void> {
  const { count } = await toy.info();
  await toy.until("counting", (now) => now.count > count && now.clashes === 0);
}

for (const mode of ["cpr-reboot", "normal"]) {
  describe(`a guest saved in mode ${mode}`, () => {
    test("stays here, stopped, and goes on from the file in another process", async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "state");
        await withToy(async (toy) => {
          await toy.ask("fill", { page: 17, value: 0x1234 });
          await toy.ask("fill", { page: 255, value: 0x5678 });
          await toy.ask("events");
          const saved = await save(toy, path, mode);
          expect([saved.status, saved.runState]).toEqual(["completed", "postmigrate"]);
          expect(await toy.ask("events")).toEqual([
            ...["setup", "STOP", "active", "device", "detach", "attach", "completed"],
          ]);
          expect(statSync(path).mode & 0o777).toBe(0o600);
          expect(readdirSync(folder)).toEqual(["state"]);
          // the counter's page and two more, of 256
          const pages = 3 * 4096;
          expect(saved.ram?.transferred).toBe((saved["x-state-bytes"] ?? 0) + pages);
          expect(statSync(path).size).toBeLessThan(2 * pages);
          expect(toy.ask("migrate", { uri: `file:${path}` })).rejects.toThrow(
            "Can't migrate the vm that was paused due to previous migration",
          );
          for (let i = 0; i < 2; i++) {
            await withStarted(["--incoming", `file:${path}`], async (next) => {
              const info = await next.info();
              expect([info.status, info.runState, info["x-mode"]]).toEqual(["completed", "running", mode]);
              expect([info.secret, info.clashes]).toEqual([saved.secret, 0]);
              expect(info.count).toBeGreaterThanOrEqual(saved.count);
              expect(await next.ask("page", 17)).toEqual([0x1234]);
              expect(await next.ask("page", 255)).toEqual([0x5678]);
              expect(await next.ask("page", 18)).toEqual([0]);
              await expectRuns(next);
              expect((await next.update(toyCommand())).status).toBe("completed");
            });
          }
          expect((await toy.info()).count).toBe(saved.count);
          await toy.ask("cont");
          await expectRuns(toy);
        });
      });
    });
  });
}

describe("RAM in a file of its own", () => {
  test("stays where it is under x-ignore-shared in cpr-reboot, and is copied in normal", async () => {
    await withFolder(async (folder) => {
      const [ram, path] = [join(folder, "ram"), join(folder, "state")];
      await withStarted(["--ram", ram], async (toy) => {
        await toy.ask("capabilities", [{ capability: "x-ignore-shared", state: true }]);
        const saved = await save(toy, path);
        expect(saved.ram?.transferred).toBe(saved["x-state-bytes"] as number);
        await withStarted(["--ram", ram, "--incoming", `file:${path}`], async (next) => {
          expect((await next.info()).secret).toBe(saved.secret);
          await expectRuns(next);
          await next.ask("capabilities", [{ capability: "x-ignore-shared", state: true }]);
          const copied = await save(next, path, "normal");
          expect(copied.ram?.transferred).toBeGreaterThan(copied["x-state-bytes"] as number);
        });
        await withStarted(["--incoming", `file:${path}`], async (next) => {
          expect((await next.info()).secret).toBe(saved.secret);
        });
      });
    });
  });

  test("is not taken for what was left where it has changed, is new, or is not in a file", async () => {
    await withFolder(async (folder) => {
      const [ram, path] = [join(folder, "ram"), join(folder, "state")];
      await withStarted(["--ram", ram], async (toy) => {
        await toy.ask("capabilities", [{ capability: "x-ignore-shared", state: true }]);
        await save(toy, path);
        await toy.ask("cont");
        await expectRuns(toy);
      });
      const changed = 'RAM "ram0" was left in place, and is not what it was';
      expect(await complaint(["--ram", ram, "--incoming", `file:${path}`])).toContain(changed);
      expect(await complaint(["--ram", `${ram}2`, "--incoming", `file:${path}`])).toContain(changed);
      expect(await complaint(["--incoming", `file:${path}`])).toContain(
        `was left in place in ${ram}: start with`,
      );
    });
  });
});

describe("a save that fails", () => {
  test("lets the guest run on, and leaves no file", async () => {
    await withFolder(async (folder) => {
      await withToy(async (toy) => {
        const reference = await toy.resources();
        const path = join(folder, "state");
        const missing = save(toy, "/no/such/folder/state").catch((error) => (error as Error).message);
        expect(await missing).toBe(
          "cannot save the state to /no/such/folder/state: there is no folder /no/such/folder",
        );
        const before = await toy.info();
        const after = await save(toy, "/dev/full,offset=4096");
        expect([after.status, after.runState]).toEqual(["failed", "running"]);
        expect(after["error-desc"]).toContain("cannot save the state to /dev/full");
        expect(after.count).toBeGreaterThanOrEqual(before.count);
        await expectRuns(toy);
        await toy.ask("break", ["saveState"]);
        await toy.ask("events");
        expect((await save(toy, path))["error-desc"]).toBe("saveState broke");
        expect(await toy.ask("events")).toEqual([
          ...["setup", "STOP", "active", "device", "detach", "attach", "RESUME", "failed"],
        ]);
        expect(readdirSync(folder)).toEqual([]);
        expect(await toy.resources()).toEqual(reference);
      });
    });
  });

  test("at any of its steps is taken back as well", async () => {
    await withFolder(async (folder) => {
      for (const point of ["setup", "stop", "save", "copy-ram", "finish-file"]) {
        const toy = new Toy(toyCommand(), { VMM_FAULT: `${point}:throw` });
        try {
          const reference = await toy.resources();
          const after = await save(toy, join(folder, "state"));
          expect([after.status, after["error-desc"]]).toEqual(["failed", `fault at ${point}`]);
          await expectRuns(toy);
          expect(readdirSync(folder)).toEqual([]);
          expect(await toy.resources()).toEqual(reference);
          expect((await save(toy, join(folder, "state"))).status).toBe("completed");
          rmSync(join(folder, "state"));
        } finally {
          await toy.end();
        }
      }
    });
  });

  test("is refused without a file, or with a channel that is none", async () => {
    await withToy(async (toy) => {
      for (const mode of ["cpr-reboot", "normal"]) {
        await toy.ask("set", { mode });
        for (const args of [{}, { uri: "unix:/a" }, { uri: "cpr:/a" }])
          expect(toy.ask("migrate", args)).rejects.toThrow(`mode ${mode} saves to a file`);
      }
      await toy.info();
    });
  });
});

describe("a file that is not whole", () => {
  test("is refused, and nothing runs", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "state");
      await withToy(async (toy) => void (await save(toy, path)));
      const bytes = readFileSync(path);
      for (const [length, reason] of [
        [bytes.length - 1, "the saved state is truncated: its RAM is not whole"],
        [100, "the saved state is truncated: it has 100 of"],
        [0, "this is not a saved state"],
      ] as const) {
        writeFileSync(path, bytes.subarray(0, length));
        expect(await complaint(["--incoming", `file:${path}`])).toContain(reason);
      }
      expect(await complaint(["--incoming", `file:${folder}/none`])).toContain("cannot read the state in");
    });
  });

  test("is refused where the RAM is not in it", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "state");
      await withToy(async (toy) => {
        await toy.update(toyCommand(), { uri: `file:${path}`, preflight: false });
      });
      expect(await complaint(["--incoming", `file:${path}`])).toContain(
        "has no RAM of the guest: it was saved in mode cpr-exec, which leaves RAM in the process that saved it",
      );
    });
  });
});

describe("migrate-incoming", () => {
  test("takes a guest in where the process was started with defer, once", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "state");
      await withToy(async (toy) => {
        const saved = await save(toy, path);
        expect(toy.ask("incoming", { uri: `file:${path}` })).rejects.toThrow(
          "'-incoming' was not specified on the command line",
        );
        await withStarted(["--incoming", "defer"], async (next) => {
          expect(await next.info()).toMatchObject({ status: "none", runState: "inmigrate" });
          expect(next.ask("migrate", {})).rejects.toThrow("Guest is waiting for an incoming migration");
          expect(next.ask("incoming", { uri: `file:${folder}/none` })).rejects.toThrow(
            "cannot read the state",
          );
          expect(next.ask("incoming", { uri: `unix:${path}` })).rejects.toThrow("comes from a file");
          await next.ask("incoming", { uri: `file:${path}` });
          const info = await next.until("over", ({ status }) => status === "completed");
          expect([info.runState, info.secret]).toEqual(["running", saved.secret]);
          expect(await next.ask("events")).toEqual(["setup", "active", "completed"]);
          await expectRuns(next);
          expect(next.ask("incoming", { uri: `file:${path}` })).rejects.toThrow(
            "'-incoming' was not specified",
          );
          await next.info();
        });
        expect(existsSync(path)).toBe(true);
      });
    });
  });

  test("that fails ends the process, unless it is told not to", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "state");
      await withToy(async (toy) => void (await save(toy, path)));
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.subarray(0, bytes.length - 40));
      await withStarted(["--incoming", "defer"], async (next) => {
        await next.ask("incoming", { uri: `file:${path}`, exitOnError: false });
        const info = await next.until("over", ({ status }) => status === "failed");
        expect(info["error-desc"]).toBe("the saved state is truncated: its RAM is not whole");
        expect(info.runState).toBe("inmigrate");
        expect(next.ask("incoming", { uri: `file:${path}` })).rejects.toThrow("already been started");
        await next.info();
      });
      await withStarted(["--incoming", "defer"], async (next) => {
        await next.ask("incoming", { uri: `file:${path}` });
        expect(await next.exited).toBe(4);
      });
    });
  });

  for (const [what, words] of [
    ["the file that it is started with", (path: string) => ["--incoming", `file:${path}`]],
    ["defer", () => ["--incoming", "defer"]],
  ] as const) {
    test(`an update by exec with a uri goes on from ${what}`, async () => {
      await withFolder(async (folder) => {
        const path = join(folder, "state");
        await withToy(async (toy) => {
          const before = await toy.info();
          await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand(...words(path)) });
          await toy.ask("migrate", { uri: `file:${path}`, preflight: false });
          if (words(path)[1] === "defer") {
            await toy.until("waiting", ({ runState }) => runState === "inmigrate");
            await toy.ask("incoming", { uri: `file:${path}` });
          }
          const after = await toy.until(
            "over",
            ({ generation, status }) => generation > before.generation && status !== "active",
          );
          expect([after.status, after.pid, after.secret]).toEqual(["completed", before.pid, before.secret]);
          await expectRuns(toy);
          expect((await toy.resources()).children).toEqual([]);
        });
      });
    });
  }

  test("an update by exec whose state cannot be loaded goes back to the old command", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "state");
      writeFileSync(path, "older");
      await withToy(async (toy) => {
        const before = await toy.info();
        await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand("--incoming", "defer") });
        await toy.ask("migrate", { uri: `file:${path}`, preflight: false });
        await toy.until("waiting", ({ runState }) => runState === "inmigrate");
        writeFileSync(`${path}2`, readFileSync(path).subarray(0, 100));
        await toy.ask("incoming", { uri: `file:${path}2` });
        const after = await toy.until("over", ({ status }) => status === "failed");
        expect(after["error-desc"]).toContain("the saved state is truncated");
        expect([after.pid, after.secret, after.argv]).toEqual([before.pid, before.secret, []]);
        expect(readFileSync(path, "utf8")).toBe("older");
        expect(readdirSync(folder).sort()).toEqual(["state", "state2"]);
        await expectRuns(toy);
      });
    });
  });
});
