import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bench, ConsoleWatch, HAS_KVM, HEARTBEAT, until, VMM } from "./cli-harness.ts";

setDefaultTimeout(60_000);

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

/** No tick lost, none repeated, and one secret. */
function expectFaultless({ ticks, secrets }: ConsoleWatch): void {
  expect(ticks).toEqual(ticks.map((_, i) => i));
  expect(secrets).toHaveLength(1);
}

const fdsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

describe.skipIf(!HAS_KVM)("vmm migrate --cpr-exec (needs /dev/kvm)", () => {
  test("replaces the VMM in the same process, and the guest loses no tick", async () => {
    const { pid } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more(2);
    let fds = 0;
    for (let i = 0; i < 3; i++) {
      const report = await bench.json("migrate", "--cpr-exec", "a");
      expect(report).toMatchObject({
        name: "a",
        mode: "cpr-exec",
        status: "completed",
        pid_before: pid,
        pid_after: pid,
      });
      expect(report.blackout_ms).toBeGreaterThan(0);
      expect(report.phases.length).toBeGreaterThan(3);
      await console.more();
      if (i === 0) fds = fdsOf(pid);
    }
    await until("as many fds as after the first", () => fdsOf(pid) === fds);
    expectFaultless(console);
    expect(bench.processes()).toEqual([pid]);
  });

  test("shows what happens and the pause to people", async () => {
    const { pid } = await bench.start("a");
    const { stdout, exitCode } = await bench.vmm("migrate", "--cpr-exec");
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`The VMM of "a" was replaced: pid ${pid} before and after.`);
    expect(stdout).toMatch(/^blackout_ms \d+(\.\d+)?$/m);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("the command may be a wrapper that ends in vmm start --foreground", async () => {
    const { pid } = await bench.start("a");
    const wrapper = join(bench.runtime, "wrapper.sh");
    writeFileSync(
      wrapper,
      `#!/bin/sh\nexec ${VMM.join(" ")} start --foreground --name a ${HEARTBEAT.join(" ")}\n`,
      {
        mode: 0o700,
      },
    );
    const report = await bench.vmm("migrate", "--cpr-exec", "--json", "a", "--", "./wrapper.sh");
    expect(report.stderr).toBe("");
    expect(JSON.parse(report.stdout)).toMatchObject({ status: "completed", pid_after: pid });
    expect((await bench.json("status")).status).toBe("running");
  });

  test("a command that cannot be run is refused with status 2, and the VM is untouched", async () => {
    const { pid } = await bench.start("a");
    const notExecutable = join(bench.runtime, "data");
    writeFileSync(notExecutable, "text", { mode: 0o600 });
    mkdirSync(join(bench.runtime, "folder"));
    for (const [command, reason] of [
      ["/no/such/program", "there is no such file"],
      ["no-such-program", "it is not on PATH"],
      ["./data", "it is not executable"],
      ["./folder", "it is a directory"],
    ]) {
      const { stderr, exitCode } = await bench.vmm("migrate", "--cpr-exec", "a", "--", command as string);
      expect(stderr).toMatch(/^vmm: [^\n]+\n$/);
      expect(stderr).toContain(reason as string);
      expect(exitCode).toBe(2);
    }
    expect(await bench.json("status")).toMatchObject({ pid, status: "running" });
    expect((await bench.json("status")).update).toBeUndefined();
  });

  test("a program that is no VMM is found out beforehand, and the guest runs on", async () => {
    const { pid } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    for (const program of ["true", "false"]) {
      const asked = await bench.vmm("migrate", "--preflight-only", "a", "--", program);
      expect(asked.exitCode).toBe(1);
      expect(asked.stdout).toContain("could not take over");
      const tried = await bench.vmm("migrate", "--cpr-exec", "a", "--", program);
      expect(tried.exitCode).toBe(1);
      expect(tried.stderr).toMatch(/^vmm: [^\n]+\n$/);
    }
    // asking one changes nothing of what a later update runs, and does not take longer than it is given
    const asked = JSON.parse((await bench.vmm("qmp", "a", "query-migrate-parameters")).stdout);
    expect(asked["cpr-exec-command"]).not.toContain("sleep");
    await bench.vmm("migrate", "--preflight-only", "a", "--", "true");
    expect(JSON.parse((await bench.vmm("qmp", "a", "query-migrate-parameters")).stdout)).toEqual(asked);
    const slow = await bench.vmm("migrate", "--timeout", "0.3", "a", "--", "sleep", "600");
    expect(slow.stderr).toBe(
      'vmm: the update of VM "a" was refused: the new command did not answer within 0.3 s\n',
    );
    // what it says is said again, but does nothing to the terminal
    const rude = [...["migrate", "--cpr-exec", "a", "--"], "sh", "-c", "printf '\\033[31mred\\a' >&2"];
    expect((await bench.vmm(...rude)).stderr).toContain("it said: ?[31mred?\n");
    await console.more();
    expect((await bench.json("migrate", "--preflight-only", "a")).ok).toBe(true);
    expect(await bench.json("migrate", "--cpr-exec", "a")).toMatchObject({
      status: "completed",
      pid_after: pid,
    });
    expectFaultless(console);
  });

  test("a CPR state that is none is refused in one line", async () => {
    await bench.start("a");
    for (const value of ["999", "text", "0"]) {
      const { stderr, exitCode } = Bun.spawnSync(
        [...VMM, "start", "--foreground", "--name", "a", ...HEARTBEAT],
        {
          env: { ...bench.env, VMM_CPR_EXEC_STATE: value },
          stdin: "ignore",
        },
      );
      expect(stderr.toString()).toMatch(/^vmm: [^\n]+\n$/);
      expect(exitCode).toBe(2);
    }
    expect((await bench.json("status")).status).toBe("running");
  });

  test.each([
    [["--memory", "32M,share=off"], "share=on is required"],
    [["--memory", "32M", "--machine", "aux-ram-share=off"], "aux-ram-share=on is required"],
  ])("a VM with %j is not updated, and the reason is told", async (options, reason) => {
    await bench.json("start", "--name", "a", "--guest", "heartbeat", ...options);
    const { stderr, exitCode } = await bench.vmm("migrate", "--cpr-exec", "a");
    expect(stderr).toMatch(/^vmm: [^\n]+\n$/);
    expect(stderr).toContain(reason);
    expect(exitCode).toBe(2);
    expect((await bench.json("status")).status).toBe("running");
  });

  test("whenever the client is killed, the VM lives and the guest loses nothing", async () => {
    const { pid } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    for (let ms = 0; ms < 160; ms += 20) {
      const client = Bun.spawn([...VMM, "migrate", "--cpr-exec", "a"], {
        env: bench.env,
        stdout: "ignore",
        stderr: "ignore",
      });
      await Bun.sleep(ms);
      client.kill("SIGKILL");
      await client.exited;
      await until("it runs", async () => (await bench.json("status", "a")).status === "running");
    }
    await console.more();
    expectFaultless(console);
    expect(await bench.json("status")).toMatchObject({ pid });
  });

  test("the demo shows it all and leaves nothing", async () => {
    const outcome = await bench.json("demo");
    expect(outcome).toMatchObject({ status: "completed", pid_after: outcome.pid_before });
    expect(outcome.ticks).toBeGreaterThanOrEqual(8);
    expect(bench.folders()).toEqual([]);
    expect(bench.processes()).toEqual([]);
    const { stdout, stderr, exitCode } = await bench.vmm("demo");
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout).toMatch(/The guest stood still for \d+\.\d ms/);
    expect(bench.folders()).toEqual([]);
  });
});
