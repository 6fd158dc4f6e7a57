import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bench, HAS_KVM, HEARTBEAT, until, VMM } from "./cli-harness.ts";

setDefaultTimeout(60_000);

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

describe.skipIf(!HAS_KVM)("vmm start (needs /dev/kvm)", () => {
  test("returns when the guest runs, in a private folder, and quit leaves nothing", async () => {
    const { pid, folder } = await bench.start("a", "--cpus", "2");
    expect(bench.processes()).toEqual([pid]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const file of ["config.json", "log", "lock"])
      expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
    expect(await bench.json("ls")).toMatchObject([
      { name: "a", pid, status: "running", cpus: 2, accel: "kvm" },
    ]);
    const quit = await bench.vmm("quit");
    expect(quit).toMatchObject({ exitCode: 0, stdout: 'VM "a" has ended.\n', stderr: "" });
    expect(bench.folders()).toEqual([]);
    await until("the process is gone", () => bench.processes().length === 0);
  });

  test("prints how to go on", async () => {
    const { stdout } = await bench.vmm("start", ...HEARTBEAT);
    expect(stdout).toMatch(/^VM "default" runs: pid \d+, kvm, 1 vCPU, 32M of RAM\./);
    for (const next of ["console", "status", "migrate --cpr-exec", "quit"])
      expect(stdout).toContain(`vmm ${next} default`);
  });

  test("a name in use is refused, and its VM runs on", async () => {
    await bench.start("a");
    for (const more of [[], ["--foreground"]]) {
      const second = await bench.vmm("start", "--name", "a", ...HEARTBEAT, ...more);
      expect(second.stderr).toBe('vmm: the name "a" is in use: a VM of that name runs (see vmm ls)\n');
      expect(second.exitCode).toBe(2);
    }
    expect((await bench.json("status", "a")).status).toBe("running");
  });

  test("the name of a VM that was killed is taken over, or cleared away by quit", async () => {
    for (const takeOver of [true, false]) {
      const { pid } = await bench.start("a");
      process.kill(pid, "SIGKILL");
      await until("it is dead", async () => (await bench.json("ls"))[0].status === "dead");
      const status = await bench.vmm("status", "a");
      expect(status).toMatchObject({ exitCode: 3 });
      expect(status.stderr).toContain('the VM "a" is dead');
      if (!takeOver) expect((await bench.vmm("quit", "a")).stdout).toContain("cleared away");
      else await bench.start("a").then(() => bench.vmm("quit", "a"));
      expect(bench.folders()).toEqual([]);
    }
  });

  test.each([
    ["a kernel that is none", ["--kernel", import.meta.path], "is not a kernel"],
    ["a folder as kernel", ["--kernel", "/"], "is a directory"],
    ["an ELF file without a PVH note", ["--kernel", "/bin/true"], "no PVH note"],
    [
      "a driver that does not exist",
      [...HEARTBEAT, "--device", "warp-drive"],
      'no device driver "warp-drive"',
    ],
    ["a plug-in that does not exist", [...HEARTBEAT, "--plugin", "./none.ts"], "none.ts"],
    [
      "huge pages that are not there",
      ["--guest", "heartbeat", "--memory", "1G,hugepages=1G"],
      "huge pages of 1G",
    ],
  ])(
    "%s: one line, status 2, nothing left, in the background as in the foreground",
    async (_, options, reason) => {
      for (const more of [[], ["--foreground"]]) {
        const { stderr, stdout, exitCode } = await bench.vmm("start", ...options, ...more);
        expect(stderr).toContain(reason);
        expect(stderr).toMatch(/^vmm: [^\n]+\n$/);
        expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
        expect(bench.folders()).toEqual([]);
        expect(bench.processes()).toEqual([]);
      }
    },
  );

  test("whenever the client is killed, the VM is there as a whole or not at all", async () => {
    for (let ms = 0; ms < 120; ms += 8) {
      const client = Bun.spawn([...VMM, "start", "--name", "a", ...HEARTBEAT], {
        env: bench.env,
        stdout: "ignore",
        stderr: "ignore",
      });
      await Bun.sleep(ms);
      client.kill("SIGKILL");
      await client.exited;
      const started = bench.processes().length > 0;
      if (started) await until("the VM runs", async () => (await bench.json("ls"))[0]?.status === "running");
      await bench.vmm("quit", "a");
      expect(bench.folders()).toEqual([]);
    }
  });

  test("options come from a file, and the command line wins", async () => {
    writeFileSync(
      join(bench.runtime, "vm.json"),
      JSON.stringify({ name: "f", guest: "heartbeat", memory: "32M", cpus: 4 }),
    );
    const { folder } = await bench.json("start", "--config", "vm.json", "--cpus", "2");
    expect(JSON.parse(readFileSync(join(folder, "config.json"), "utf8"))).toMatchObject({
      name: "f",
      cpus: 2,
    });
  });

  test("several VMs must be named, and ls shows them all", async () => {
    await Promise.all([bench.start("a"), bench.start("b")]);
    const { stderr, exitCode } = await bench.vmm("status");
    expect({ stderr, exitCode }).toEqual({
      stderr: "vmm: several VMs run, say which one: a, b\n",
      exitCode: 2,
    });
    expect((await bench.json("ls")).map((vm: { name: string }) => vm.name)).toEqual(["a", "b"]);
  });
});

describe.skipIf(!HAS_KVM)("vmm start --foreground (needs /dev/kvm)", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("becomes the VM, and %s ends it in order", async (signal) => {
    const vm = Bun.spawn(
      [...VMM, "start", "--name", "a", ...HEARTBEAT, "--foreground", "--serial", "stdio"],
      {
        env: bench.env,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const reader = vm.stdout.getReader();
    let text = "";
    while (!text.includes("tick 1 ")) text += new TextDecoder().decode((await reader.read()).value);
    expect((await bench.json("status", "a")).pid).toBe(vm.pid);
    vm.kill(signal);
    await vm.exited;
    expect(vm.exitCode).toBe(0);
    expect(await vm.stderr.text()).toBe("");
    expect(bench.folders()).toEqual([]);
  });
});

/** Hides /dev/kvm from a command, in a mount namespace of its own. */
const CAN_HIDE =
  process.getuid?.() === 0 && HAS_KVM && Bun.spawnSync(["unshare", "-m", "true"]).exitCode === 0;

test.skipIf(!CAN_HIDE)(
  "where /dev/kvm is not KVM's, one line says so and nothing is left (needs root)",
  () => {
    const script = 'mount --bind /dev/null /dev/kvm; exec "$@"';
    for (const words of [["start", ...HEARTBEAT], ["demo"]]) {
      const { stderr, exitCode } = Bun.spawnSync(
        ["unshare", "-m", "sh", "-c", script, "sh", ...VMM, ...words],
        {
          env: bench.env,
        },
      );
      expect(stderr.toString()).toMatch(/^vmm: [^\n]*kvm[^\n]*\n$/i);
      expect(exitCode).toBe(2);
      expect(bench.folders()).toEqual([]);
    }
  },
);
