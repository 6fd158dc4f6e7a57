/** The preflight: what is wrong with a command is found while the guest runs, and nothing is left of the asking. */
import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PreflightReport } from "../src/index.ts";
import { toyCommand, withToy } from "./toy.ts";
import { until } from "./until.ts";

/** Whether a process runs with this word in its command line. */
function runs(word: string): boolean {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(word);
      } catch {
        return false;
      }
    });
}

test("a command that could take over says so, with its version", async () => {
  await withToy(async (toy) => {
    await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand() });
    expect(await toy.ask<PreflightReport>("preflight")).toEqual({
      ok: true,
      version: "toy 1",
      blocks: [],
      warnings: [],
    });
    expect((await toy.update(toyCommand(), {})).status).toBe("completed");
    const last = await toy.update(toyCommand(), { preflight: true });
    expect(last["x-phases"]?.[0]?.["duration-ns"]).toBeGreaterThan(1e6);
  });
});

test("a command that is no VMM, crashes, hangs, or answers nonsense or no, is found; the guest runs on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vmm-preflight-"));
  try {
    const noInterpreter = join(folder, "no-interpreter");
    writeFileSync(noInterpreter, "#!/no/such/interpreter\n");
    chmodSync(noInterpreter, 0o755);
    const marker = `sleep-${process.pid}`;
    await withToy(async (toy) => {
      await toy.update(toyCommand());
      const before = await toy.info();
      const reference = await toy.resources();
      await toy.ask("events");
      await toy.ask("set", { mode: "cpr-exec", "x-cpr-preflight-timeout": 10_000 });
      for (const [command, reason] of [
        [["true"], "ended with status 0 and without an answer: it is not a VMM"],
        [
          ["sh", "-c", "echo oh no >&2; exit 7"],
          "ended with status 7 and without an answer: it is not a VMM that knows the preflight; it said: oh no",
        ],
        [["sh", "-c", "kill -BUS $$"], "was ended by SIGBUS"],
        [toyCommand("--fault", "start-exit"), "ended with status 3"],
        [
          toyCommand("--fault", "preflight:nonsense"),
          "answered the preflight with nonsense: the report: blocks is not a list",
        ],
        [toyCommand("--fault", "preflight:block"), "toy0: version 9 is too new"],
      ] as const) {
        await toy.ask("set", { "cpr-exec-command": command });
        const refused = await toy.ask("migrate", {}).catch((error) => (error as Error).message);
        expect([command, refused]).toEqual([command, expect.stringContaining(reason)]);
      }
      await toy.ask("set", { "x-cpr-preflight-timeout": 200 });
      for (const command of [
        toyCommand("--fault", "preflight-hang"),
        ["sh", "-c", `sh -c "sleep 600; : ${marker}" & sleep 600; : ${marker}`],
        // out of its process group
        ["sh", "-c", `setsid sh -c "sleep 600; : ${marker}" & sleep 600; : ${marker}`],
      ]) {
        await toy.ask("set", { "cpr-exec-command": command });
        const refused = await toy.ask("migrate", {}).catch((error) => (error as Error).message);
        expect(refused).toContain("did not answer the preflight within 200 ms and was killed");
      }
      // one that was killed and is no child of ours may still be ending
      await until("all that the command started ended", () => !runs(marker));
      expect(await toy.ask("events")).toEqual([]);
      expect(await toy.resources()).toEqual(reference);
      const after = await toy.until("counting", ({ count }) => count > before.count);
      expect([after.status, after.pid, after.clashes]).toEqual(["completed", before.pid, 0]);
      await toy.ask("set", { "cpr-exec-command": [noInterpreter] });
      await expect(toy.ask("migrate", {})).rejects.toThrow("no-interpreter for the preflight: ENOENT");
      await toy.info();
      expect(await toy.resources()).toEqual(reference);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a preflight that is cancelled ends at once, and nothing has happened", async () => {
  await withToy(async (toy) => {
    await toy.update(toyCommand());
    const reference = await toy.resources();
    await toy.ask("set", { mode: "cpr-exec", "cpr-exec-command": toyCommand("--fault", "preflight-hang") });
    const migrating = toy.ask("migrate", {}).catch((error) => (error as Error).message);
    await Bun.sleep(1);
    await expect(toy.ask("migrate", {})).rejects.toThrow("There's a migration process in progress");
    await toy.ask("cancel");
    expect(await migrating).toBe("the migration was cancelled");
    expect(await toy.resources()).toEqual(reference);
    expect((await toy.update(toyCommand())).status).toBe("completed");
  });
});
