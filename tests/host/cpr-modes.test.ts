/** Live update beyond cpr-exec, with real VMs: transfers, copies in files, guests that come later. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeState, SavedFile, type StateHeader } from "@vmm/cpr";
import { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { Bench, ConsoleWatch, HAS_KVM, HEARTBEAT, until, VMM } from "./cli-harness.ts";
import { isAlive } from "./lib/proc.ts";

setDefaultTimeout(120_000);

const MAIN = join(import.meta.dir, "../../packages/vmm/src/main.ts");

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

/** No tick lost, none repeated, and one secret. */
function expectFaultless({ ticks, secrets }: ConsoleWatch): void {
  expect(ticks).toEqual(ticks.map((_, i) => (ticks[0] as number) + i));
  expect(secrets).toHaveLength(1);
}

/** Scheduling policies of a process's threads, each once: 0 is the ordinary one (proc_pid_stat(5), field 41). */
function policiesOf(pid: number): number[] {
  const policies = readdirSync(`/proc/${pid}/task`).map((task) => {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[38]);
  });
  return [...new Set(policies)];
}

const fdsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

/** How many fds the process has once clients and updates have gone. */
async function settledFds(pid: number): Promise<number> {
  let last = -1;
  await until("at rest", async () => {
    const before = last;
    last = fdsOf(pid);
    await Bun.sleep(50);
    return before === last;
  });
  return last;
}

/** A VMM as a successor, with variables. */
const successor = (folder: string, ...variables: string[]) => [
  ...["env", ...variables, process.execPath, MAIN, "--config", join(folder, "config.json")],
];

const transferTo = (...command: string[]) =>
  bench.vmm("migrate", "--cpr-transfer", "--json", "a", "--", ...command);

/** One QMP command, whose answer is JSON. */
async function qmp(vm: string, command: string, args: object = {}): Promise<Record<string, unknown>> {
  const { stdout, stderr, exitCode } = await bench.vmm("qmp", vm, command, JSON.stringify(args));
  if (exitCode !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

describe.skipIf(!HAS_KVM)("cpr-transfer (needs /dev/kvm)", () => {
  test("hands the guest to another process, which loses no tick; clients of the console stay", async () => {
    const { pid: first, folder } = await bench.start("a", "--cpus", "2");
    const console = new ConsoleWatch(bench, "a");
    await console.more(2);
    let fds = 0;
    let pid = first;
    for (let i = 0; i < 4; i++) {
      const report = await bench.json("migrate", "--cpr-transfer", "a");
      expect(report).toMatchObject({ mode: "cpr-transfer", status: "completed", pid_before: pid });
      expect(report.pid_after).not.toBe(pid);
      expect(report.blackout_ms).toBeGreaterThan(0);
      expect(report.phases.map(({ name }: { name: string }) => name)).toEqual([
        ...["preflight", "setup", "successor", "stop", "save", "send", "receive", "decode", "load", "resume"],
      ]);
      await until("the source has ended", () => !isAlive(pid));
      pid = report.pid_after;
      await console.more();
      expect(policiesOf(pid)).toEqual([0]);
      if (i === 0) fds = await settledFds(pid);
    }
    expectFaultless(console);
    expect(bench.processes()).toEqual([pid]);
    expect(await settledFds(pid)).toBe(fds);
    expect(await bench.json("status")).toMatchObject({ pid, status: "running" });
    expect(await bench.json("migrate", "--cpr-exec", "a")).toMatchObject({
      status: "completed",
      pid_after: pid,
    });
    await console.more();
    expectFaultless(console);
    await bench.vmm("quit", "a");
    expect(existsSync(folder)).toBe(false);
  });

  test("goes to a successor that was started by hand, over a private socket", async () => {
    const { pid } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const path = join(bench.runtime, "cpr.sock");
    const started = await bench.json("start", "--name", "a", "--incoming", `cpr:${path}`);
    expect(started).toEqual({ name: "a", pid: expect.any(Number), successor: path });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await bench.json("status")).pid).toBe(pid);
    const report = await bench.json("migrate", "--cpr-transfer", "--successor", path, "a");
    expect(report).toMatchObject({ status: "completed", pid_before: pid, pid_after: started.pid });
    await console.more();
    expectFaultless(console);
    expect(existsSync(path)).toBe(false);
  });

  test("takes QEMU's channels, a main socket of its own among them", async () => {
    const { pid } = await bench.start("a");
    const [main, cpr] = [join(bench.runtime, "main.sock"), join(bench.runtime, "cpr.sock")];
    const { pid: next } = await bench.json("start", "--name", "a", "--incoming", `cpr:${cpr}`);
    await qmp("a", "migrate-set-parameters", { mode: "cpr-transfer" });
    const channel = (type: string, path: string) => ({
      ...{ "channel-type": type, addr: { transport: "socket", type: "unix", path } },
    });
    await qmp("a", "migrate", { channels: [channel("main", main), channel("cpr", cpr)] });
    await until("the source has ended", () => !isAlive(pid));
    expect(await bench.json("status")).toMatchObject({ pid: next, status: "running" });
    expect(existsSync(main) || existsSync(cpr)).toBe(false);
  });

  test("a successor that is not fit is refused while the guest runs, by its own report", async () => {
    const { pid, folder } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const other = join(bench.runtime, "other.json");
    const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    writeFileSync(other, JSON.stringify({ ...config, cpus: 2 }));
    for (const [command, reason] of [
      [["true"], "the successor ended with status 0 before it was ready"],
      [
        [process.execPath, MAIN, "--config", other],
        "the preflight found: vCPU: the state is of a VM with 1 vCPU, and this one has 2",
      ],
      [successor(folder, "VMM_FAULT=start:kill"), "the successor was ended by SIGKILL before it was ready"],
      [successor(folder, "VMM_FAULT=ready:throw"), "the successor failed: fault at ready"],
    ] as const) {
      const { stderr, exitCode } = await transferTo(...command);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(reason)]);
    }
    await console.more();
    expectFaultless(console);
    expect(await bench.json("status")).toMatchObject({ pid, status: "running" });
    await until("none of them is left", () => bench.processes().length === 1);
    expect((await transferTo(...successor(folder))).exitCode).toBe(0);
  });

  test("a successor that fails, dies or hangs once the guest is stopped leaves it where it was", async () => {
    const { pid, folder } = await bench.start("a", "--cpus", "2");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    await qmp("a", "migrate-set-parameters", { "x-cpr-commit-timeout": 1000 });
    for (const fault of [
      ...["receive-state:kill", "receive-state:throw", "load-record:throw", "load-state:throw"],
      ...["start-devices:crash", "start-devices:exit", "commit:throw", "commit:kill", "commit:hang"],
    ]) {
      const { stderr, exitCode } = await transferTo(...successor(folder, `VMM_FAULT=${fault}`));
      expect([fault, exitCode, stderr]).toEqual([fault, 1, expect.stringContaining("the guest runs on")]);
      expect(policiesOf(pid)).toEqual([0]);
      expect(await bench.json("status")).toMatchObject({ pid, status: "running" });
      await console.more();
    }
    expectFaultless(console);
    await until("none of them is left", () => bench.processes().length === 1);
    const { exitCode, stdout } = await transferTo(...successor(folder));
    expect([exitCode, JSON.parse(stdout).status]).toEqual([0, "completed"]);
    await console.more();
    expectFaultless(console);
  });

  test("SIGKILL of the successor at any time before it commits costs nothing", async () => {
    const { pid, folder } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const parameters = {
      mode: "cpr-transfer",
      // where the kill comes too early to find anybody
      "x-cpr-commit-timeout": 2000,
      "cpr-exec-command": successor(folder, "VMM_FAULT=commit:hang").map((word) =>
        word === "env" ? "/usr/bin/env" : word,
      ),
    };
    await qmp("a", "migrate-set-parameters", parameters);
    for (let point = 0; point < 10; point++) {
      await qmp("a", "migrate");
      await Bun.sleep(point * 40);
      for (const other of bench.processes())
        if (other !== pid && isVmm(other)) process.kill(other, "SIGKILL");
      await until("over", async () => (await qmp("a", "query-migrate")).status === "failed");
      expect(await bench.json("status")).toMatchObject({ pid, status: "running" });
    }
    await console.more();
    expectFaultless(console);
  });

  test("SIGKILL of the source after it sent the state costs nothing: the successor goes on", async () => {
    const { folder } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const armed = JSON.parse((await transferTo(...successor(folder, "VMM_FAULT=sent-state:kill"))).stdout);
    const report = await bench.json("migrate", "--cpr-transfer", "a");
    expect(report).toMatchObject({ status: "completed", pid_before: armed.pid_after });
    await until("the killed source is gone", () => !isAlive(armed.pid_after));
    await console.more();
    expectFaultless(console);
  });

  test("is blocked where the guest's RAM or the terminal is this process's alone", async () => {
    await bench.json("start", "--name", "a", "--guest", "heartbeat", "--memory", "32M,share=off");
    const { stderr, exitCode } = await bench.vmm("migrate", "--cpr-transfer", "a");
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining("share=on is required")]);
    await bench.vmm("quit", "a");
    await bench.start("a", "--machine", "aux-ram-share=off");
    const aux = await bench.vmm("migrate", "--cpr-transfer", "a");
    expect([aux.exitCode, aux.stderr]).toEqual([2, expect.stringContaining("aux-ram-share=on is required")]);
  });
});

/** Whether the process runs a VMM, and is not a client. */
function isVmm(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("--config");
  } catch {
    return false;
  }
}

/** Changes what a saved file says of the moment when the guest was stopped. */
function redate(path: string, change: (header: StateHeader) => Partial<StateHeader>): void {
  const file = new SavedFile(path);
  const { header, records } = file.state;
  const ram = readFileSync(path).subarray(file.stateBytes);
  file.close();
  writeFileSync(path, Buffer.concat([encodeState({ ...header, ...change(header) }, records), ram]));
}

describe.skipIf(!HAS_KVM)("vmm save and vmm restore (needs /dev/kvm)", () => {
  test("end the VM and go on with its guest, as often as wanted", async () => {
    await bench.start("a", "--cpus", "2");
    const console = new ConsoleWatch(bench, "a");
    await console.more(2);
    const path = join(bench.runtime, "a.vm");
    const saved = await bench.json("save", "a", path);
    expect(saved).toMatchObject({ name: "a", path });
    expect([bench.folders(), statSync(path).mode & 0o777]).toEqual([[], 0o600]);
    expect(statSync(path).size).toBeLessThan(1 << 20);
    const before = console.ticks.at(-1) as number;
    for (const name of ["a", "b"]) {
      await bench.json("restore", path, "--name", name);
      const next = new ConsoleWatch(bench, name);
      // what came before is part of what it sees: only a tick beyond that is new
      while (next.ticks.length <= before + 1) await next.more();
      expect(next.secrets).toEqual(console.secrets);
      // the history of the console came with the guest
      expect(next.ticks).toEqual(next.ticks.map((_, i) => i));
      expect(next.ticks.length).toBeGreaterThan(before + 1);
      expect(await bench.json("migrate", "--cpr-exec", name)).toMatchObject({ status: "completed" });
      await next.more();
      expectFaultless(next);
    }
  });

  test("on another boot of the host the guest's clocks go on by the time that has passed", async () => {
    await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more(2);
    const path = join(bench.runtime, "a.vm");
    await bench.json("save", "a", path);
    redate(path, (header) => ({
      bootId: "00000000-0000-0000-0000-000000000000",
      stoppedMonotonicNs: header.stoppedMonotonicNs + 1e15,
      stoppedRealtimeNs: header.stoppedRealtimeNs - 3600e9,
    }));
    await bench.json("restore", path);
    const next = new ConsoleWatch(bench, "a");
    await next.more(3);
    expectFaultless(next);
    expect(next.secrets).toEqual(console.secrets);
  });

  test("leave RAM in its own file there where they are told to, and refuse one that was used since", async () => {
    const ram = join(bench.runtime, "ram");
    const path = join(bench.runtime, "a.vm");
    await bench.json(
      ...[
        "start",
        "--name",
        "a",
        "--guest",
        "heartbeat",
        "--memory",
        `size=32M,backend=file,share=on,path=${ram}`,
      ],
    );
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    expect((await bench.json("save", "--in-place", "a", path)).ram_bytes).toBeLessThan(1 << 16);
    await bench.json("restore", path);
    const next = new ConsoleWatch(bench, "a");
    await next.more();
    expect(next.secrets).toEqual(console.secrets);
    await bench.vmm("quit", "a");
    const again = await bench.vmm("restore", path);
    expect(again.exitCode).toBe(2);
    expect(again.stderr).toContain("was left in place, and is not what it was");
    expect(bench.folders()).toEqual([]);
  });

  test("keep a VM that is to stay, also one whose RAM is private", async () => {
    await bench.json("start", "--name", "a", "--guest", "heartbeat", "--memory", "32M,share=off");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const path = join(bench.runtime, "a.vm");
    const capabilities = [{ capability: "x-ignore-shared", state: true }];
    await qmp("a", "migrate-set-capabilities", { capabilities });
    const settings = async () => [
      await qmp("a", "query-migrate-capabilities"),
      await qmp("a", "query-migrate-parameters"),
    ];
    const before = await settings();
    // refused at once, as a folder is there
    expect((await bench.vmm("save", "a", bench.runtime)).exitCode).toBe(1);
    expect(await settings()).toEqual(before);
    await bench.json("save", "--keep", "a", path);
    expect((await bench.json("status")).status).toBe("postmigrate");
    expect(await settings()).toEqual(before);
    await bench.vmm("cont", "a");
    await console.more();
    await bench.json("save", "--cont", "a", path);
    await console.more();
    expectFaultless(console);
    await bench.json("restore", path, "--name", "b");
    const copy = new ConsoleWatch(bench, "b");
    await copy.more();
    expect(copy.secrets).toEqual(console.secrets);
  });

  test("add to the file that a serial port writes to", async () => {
    const log = join(bench.runtime, "log");
    const ticksIn = () => readFileSync(log, "utf8").match(/^tick .*$/gm)?.length ?? 0;
    await bench.start("a", "--serial", `file:${log}`);
    await until("a tick", () => ticksIn() > 0);
    const path = join(bench.runtime, "a.vm");
    await bench.json("save", "a", path);
    const before = readFileSync(log, "utf8");
    await bench.json("restore", path);
    await until("another tick", () => ticksIn() > (before.match(/^tick /gm)?.length ?? 0));
    expect(readFileSync(log, "utf8").startsWith(before)).toBe(true);
  });

  test("never make a copy's serial port the client of the VM that was saved", async () => {
    const socket = join(bench.runtime, "serial");
    await bench.start("a", "--serial", `unix:${socket}`);
    const path = join(bench.runtime, "a.vm");
    await bench.json("save", "--cont", "a", path);
    const { stderr, exitCode } = await bench.vmm("restore", path, "--name", "b");
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(`${socket} is in use`)]);
    expect(stderr).toMatch(/^vmm: [^\n]+\n$/);
    expect(bench.folders()).toEqual(["a"]);
    // as by hand, to a process that waits
    const { folder } = await bench.start("c", "--incoming", "defer", "--serial", `unix:${socket}`);
    await bench.vmm("qmp", "c", "migrate-incoming", `uri=file:${path}`);
    await until("told", () => readFileSync(join(folder, "log"), "utf8").includes(`${socket} is in use`));
    await bench.vmm("quit", "a");
    await bench.json("restore", path, "--name", "b");
    const filename = `disconnected:unix:${socket},server=on`;
    expect(await qmp("b", "query-chardev")).toMatchObject([{ filename }]);
  });

  test("tell in one line what is wrong with a file, and leave nothing", async () => {
    await bench.start("a");
    const path = join(bench.runtime, "a.vm");
    await bench.json("save", "a", path);
    const whole = readFileSync(path);
    for (const [bytes, reason] of [
      [whole.subarray(0, whole.length - 1), "its RAM is not whole"],
      [whole.subarray(0, 1000), "the saved state is truncated"],
      [Buffer.from("no state at all, but long enough to be looked at"), "this is not a saved state"],
      [Buffer.alloc(0), "this is not a saved state"],
    ] as const) {
      writeFileSync(path, bytes);
      const { stderr, exitCode } = await bench.vmm("restore", path);
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(reason)]);
      expect(stderr).toMatch(/^vmm: [^\n]+\n$/);
      expect(bench.folders()).toEqual([]);
    }
    rmSync(path);
    expect((await bench.vmm("restore", path)).exitCode).toBe(2);
    await bench.start("a");
    const full = await bench.vmm("save", "a", "/dev/full/state");
    expect([full.exitCode, full.stderr]).toEqual([
      1,
      expect.stringContaining("there is no folder /dev/full"),
    ]);
    expect((await bench.json("status")).status).toBe("running");
  });
});

describe.skipIf(!HAS_KVM)("a guest that comes later (needs /dev/kvm)", () => {
  test("is taken in by migrate-incoming, and runs or not as stop and cont had it", async () => {
    await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const path = join(bench.runtime, "a.vm");
    await bench.json("save", "a", path);
    for (const [name, command, state] of [
      ["b", undefined, "running"],
      ["c", "stop", "paused"],
    ] as const) {
      const { stdout } = await bench.vmm("start", "--name", name, ...HEARTBEAT, "--incoming", "defer");
      expect(stdout).toContain("waits for its guest");
      expect((await bench.json("status", name)).status).toBe("inmigrate");
      await expect(qmp(name, "system_reset")).rejects.toThrow("Guest is waiting for an incoming migration");
      if (command) await qmp(name, command);
      await qmp(name, "migrate-incoming", { uri: `file:${path}` });
      await until("it is there", async () => (await qmp(name, "query-migrate")).status === "completed");
      expect((await bench.json("status", name)).status).toBe(state);
      await bench.vmm("cont", name);
      const next = new ConsoleWatch(bench, name);
      await next.more(2);
      expect(next.secrets).toEqual(console.secrets);
      expectFaultless(next);
    }
  });

  test("and cannot be loaded ends the process, or is told, as exit-on-error says", async () => {
    await bench.start("a");
    const path = join(bench.runtime, "a.vm");
    await bench.json("save", "a", path);
    writeFileSync(path, readFileSync(path).subarray(0, -50));
    const start = (name: string) => bench.vmm("start", "--name", name, ...HEARTBEAT, "--incoming", "defer");
    await start("b");
    await qmp("b", "migrate-incoming", { uri: `file:${path}`, "exit-on-error": false });
    await until("it has failed", async () => (await qmp("b", "query-migrate")).status === "failed");
    expect((await qmp("b", "query-migrate"))["error-desc"]).toContain("its RAM is not whole");
    await start("c");
    await qmp("c", "migrate-incoming", { uri: `file:${path}` });
    await until("it has ended", async () => (await bench.vmm("status", "c")).exitCode === 3);
  });

  test("to the new process of a cpr-exec with a uri, at once or when it is told", async () => {
    const { pid, folder } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const path = join(bench.runtime, "state");
    const image = [process.execPath, MAIN, "--config", join(folder, "config.json"), "--incoming"];
    const wrapper = [...VMM, "start", "--foreground", "--name", "a", "--incoming"];
    for (const [where, command, word] of [
      [`file:${path}`, image],
      ["defer", image],
      ["defer", image, "stop"],
      [`file:${path}`, wrapper],
      ["defer", wrapper],
    ] as const) {
      await qmp("a", "migrate-set-parameters", { mode: "cpr-exec", "cpr-exec-command": [...command, where] });
      await bench.vmm("qmp", "a", "migrate", JSON.stringify({ uri: `file:${path}`, "x-preflight": false }));
      await until("the new program runs", () => {
        const line = readFileSync(`/proc/${pid}/cmdline`, "latin1");
        return line.includes(where) && !line.includes("--foreground");
      });
      if (where === "defer") {
        await until("it waits", async () => (await bench.json("status")).status === "inmigrate");
        if (word) await qmp("a", word);
        await qmp("a", "migrate-incoming", { uri: `file:${path}` });
      }
      const state = word ? "paused" : "running";
      await until(`it is ${state}`, async () => (await bench.json("status")).status === state);
      if (word) await qmp("a", "cont");
      expect(await qmp("a", "query-migrate")).toMatchObject({ status: "completed", "x-mode": "cpr-exec" });
      await console.more();
      expectFaultless(console);
      expect((await bench.json("status")).pid).toBe(pid);
    }
  });

  test("that cannot be loaded goes back to the program before, whatever exit-on-error says", async () => {
    const { pid, folder } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    const path = join(bench.runtime, "state");
    const command = [process.execPath, MAIN, "--config", join(folder, "config.json"), "--incoming", "defer"];
    await qmp("a", "migrate-set-parameters", { mode: "cpr-exec", "cpr-exec-command": command });
    await bench.vmm("qmp", "a", "migrate", JSON.stringify({ uri: `file:${path}`, "x-preflight": false }));
    await until("it waits", async () => (await bench.json("status")).status === "inmigrate");
    writeFileSync(path, readFileSync(path).subarray(0, -50));
    await qmp("a", "migrate-incoming", { uri: `file:${path}`, "exit-on-error": false });
    await until("it runs again", async () => (await bench.json("status")).status === "running");
    const { status, "error-desc": reason } = await qmp("a", "query-migrate");
    expect([status, (await bench.json("status")).pid]).toEqual(["failed", pid]);
    expect(reason).toContain("the saved state");
    await console.more();
    expectFaultless(console);
  });

  test("in another file than the update's is refused: no other state meets the guest's RAM", async () => {
    const { pid } = await bench.start("a");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const path = join(bench.runtime, "state");
    await bench.vmm("qmp", "a", "migrate-set-parameters", JSON.stringify({ mode: "cpr-exec" }));
    await bench.vmm("qmp", "a", "migrate", JSON.stringify({ uri: `file:${path}` }));
    // the exec ends the connection of one who asks just then
    const told = () => qmp("a", "query-migrate").catch(() => undefined);
    await until("it is updated", async () => (await told())?.status === "completed");
    const words = [...VMM, "start", "--foreground", "--name", "a", "--incoming", `file:${path}`];
    const again = await bench.vmm("migrate", "--cpr-exec", "a", "--", ...words);
    expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining(path)]);
    await until("it runs again", async () => (await bench.json("status")).status === "running");
    const info = await qmp("a", "query-migrate");
    expect(info).toMatchObject({ status: "failed", "error-desc": expect.stringContaining("is not the one") });
    expect((await bench.json("status")).pid).toBe(pid);
    await console.more(2);
    expectFaultless(console);
  });

  test("a client of the program before hears of its end at once, not when the guest has come", async () => {
    const { folder } = await bench.start("a");
    const client = await QmpClient.connect(join(folder, "qmp.sock"));
    const uri = `file:${join(bench.runtime, "state")}`;
    const command = [process.execPath, MAIN, "--config", join(folder, "config.json"), "--incoming", "defer"];
    await qmp("a", "migrate-set-parameters", { mode: "cpr-exec", "cpr-exec-command": command });
    await bench.vmm("qmp", "a", "migrate", JSON.stringify({ uri, "x-preflight": false }));
    await client.closed;
    expect(await bench.json("status")).toMatchObject({ status: "inmigrate" });
    await qmp("a", "migrate-incoming", { uri });
    await until("it runs", async () => (await bench.json("status")).status === "running");
    expect(await qmp("a", "query-migrate")).toMatchObject({ status: "completed" });
  });
});
