import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let runtime = "";
beforeEach(() => {
  runtime = mkdtempSync(join(tmpdir(), "vmm-cli-"));
});
afterEach(() => rmSync(runtime, { recursive: true, force: true }));

/** Runs vmm as a user would, from its sources. */
function vmm(...words: string[]) {
  const { stdout, stderr, exitCode } = Bun.spawnSync(
    [process.execPath, join(import.meta.dir, "vmm.ts"), ...words],
    {
      env: { ...process.env, XDG_RUNTIME_DIR: runtime, VMM_IMAGE: "source" },
    },
  );
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode };
}

const LONG = "d".repeat(60);

test.each([
  [["strat"], 'unknown command "strat"; did you mean vmm start?'],
  [["start"], "nothing to boot: give --kernel FILE"],
  [["start", "--kernel", "/no/such"], "--kernel: there is no kernel at /no/such"],
  [["start", "--guest", "windows"], '--guest: there is no built-in guest "windows"'],
  [["start", "--guest", "heartbeat", "--memory", "0"], "--memory: the size cannot be 0"],
  [["start", "--guest", "heartbeat", "--memory", "-5"], "--memory: a size cannot be negative"],
  [["start", "--guest", "heartbeat", "--memory", "512Q"], '--memory: "512Q" is not a size'],
  [["start", "--guest", "heartbeat", "--memory", "900T"], "is larger than this host's RAM"],
  [["start", "--guest", "heartbeat", "--memory", "1G,backend=epc"], "backend=epc is not supported"],
  [["start", "--guest", "heartbeat", "--cpus", "0"], '--cpus: "0" is not a number of vCPUs'],
  [["start", "--guest", "heartbeat", "--cpus", "0x2"], '--cpus: "0x2" is not a number of vCPUs'],
  [["start", "--guest", "heartbeat", "--accel", "hvf"], '--accel: unknown accelerator "hvf"'],
  [["start", "--guest", "heartbeat", "--name", "../x"], '"../x" cannot be a VM\'s name'],
  [["start", "--guest", "heartbeat", "--serial", "stdio"], "--serial stdio needs --foreground"],
  [["start", "--guest", "heartbeat", "--serial", `unix:/${LONG}${LONG}`], "too long"],
  [["start", "--guest", "heartbeat", "--incoming", "tcp:1"], '--incoming: "tcp:1" is not one of'],
  [["start", "--guest", "heartbeat", "--machine", "x=on"], '--machine: unknown key "x"'],
  [["start", "--config", "/no/such.json"], "--config /no/such.json: there is no such file"],
  [["start", "--unknown"], "unknown option --unknown"],
  [["completion", "csh"], 'there is no completion for "csh"'],
  [["migrate", "--preflight-only", "--no-preflight"], "exclude each other"],
  [["migrate", "--preflight-only", "--cpr-transfer", "--successor", "s"], "a --successor runs already"],
  [["migrate", "--timeout", "soon"], '--timeout: "soon" is not a number of seconds'],
  [["powerdown", "--wait", "-1"], '--wait: "-1" is not a number of seconds'],
  [["status", "a", "--name", "b"], 'two VMs are named, "a" and "b"'],
] as const)("vmm %j ends with status 2 and one line, and leaves nothing", (words, reason) => {
  const { stdout, stderr, exitCode } = vmm(...words);
  expect(stderr).toContain(reason);
  expect(stderr).toStartWith("vmm: ");
  expect(stderr.trimEnd()).not.toContain("\n");
  expect(stdout).toBe("");
  expect(exitCode).toBe(2);
  expect(readdirSync(runtime)).toEqual([]);
});

test.each([
  [["ls"]],
  [["status"]],
  [["console", "evil"]],
  [["quit", "evil"]],
  [["qmp", "evil", "query-status"]],
  [["migrate", "evil"]],
  [["save", "evil", "/no/such"]],
  [["start", "--guest", "heartbeat"]],
  [["start", "--guest", "heartbeat", "--name", "evil", "--incoming", "cpr:/no/such"]],
] as const)(
  "vmm %j refuses a folder of VMs in which others could make some, and touches nothing",
  (words) => {
    const root = join(runtime, "vmm");
    const evil = join(root, "evil");
    mkdirSync(evil, { recursive: true });
    chmodSync(root, 0o777);
    writeFileSync(join(evil, "lock"), "");
    const { stdout, stderr, exitCode } = vmm(...words);
    expect(stderr).toMatch(/^vmm: [^\n]+\n$/);
    expect(stderr).toStartWith(`vmm: ${root} is not private to you`);
    expect([stdout, exitCode]).toEqual(["", 2]);
    expect(readdirSync(evil)).toEqual(["lock"]);
  },
);

test("a socket path that would be too long is refused before anything is made", () => {
  const deep = join(runtime, LONG);
  const { stderr, exitCode } = Bun.spawnSync(
    [process.execPath, join(import.meta.dir, "vmm.ts"), "start", "--guest", "heartbeat", "--name", LONG],
    { env: { ...process.env, XDG_RUNTIME_DIR: deep, VMM_IMAGE: "source" } },
  );
  expect(stderr.toString()).toMatch(/^vmm: the socket path .* is too long: \d+ bytes/);
  expect(exitCode).toBe(2);
});

test.each([["status"], ["stop"], ["quit"], ["console"], ["migrate"], ["qmp"]])(
  "vmm %s without a VM ends with status 3",
  (name) => {
    expect(vmm(name)).toMatchObject({ exitCode: 3, stderr: "vmm: no VM runs: start one with vmm start\n" });
    const named = vmm(name, "--name", "web");
    expect(named).toMatchObject({ exitCode: 3 });
    expect(named.stderr).toContain('no VM named "web" runs');
  },
);

test("vmm alone shows the overview and ends with status 2, vmm --help with 0", () => {
  const alone = vmm();
  expect(alone.exitCode).toBe(2);
  expect(alone.stdout).toContain("Usage: vmm COMMAND");
  expect(vmm("--help")).toMatchObject({ exitCode: 0, stdout: alone.stdout });
  expect(vmm("start", "--help").stdout).toBe(vmm("help", "start").stdout);
  expect(vmm("--version").stdout).toMatch(/^vmm \d+\.\d+\.\d+ \(bun \d/);
});

test("vmm ls without a VM says so, and gives an empty list in JSON", () => {
  expect(vmm("ls").stdout).toBe("No VM runs. Start one with vmm start.\n");
  expect(JSON.parse(vmm("ls", "--json").stdout)).toEqual([]);
});

test("vmm doctor reports every check in JSON with a state and, where it falls short, what to do", () => {
  const { checks, canRun } = JSON.parse(vmm("doctor", "--json").stdout);
  expect(typeof canRun).toBe("boolean");
  const names = checks.map((check: { name: string }) => check.name);
  for (const name of [
    "KVM",
    "huge pages",
    "locked memory",
    "VFIO",
    "IOMMUFD",
    "QEMU",
    "kernel",
    "open fds",
    "RAM",
  ]) {
    expect(names).toContain(name);
  }
  for (const { state, detail, help } of checks) {
    expect(["ok", "warn", "missing"]).toContain(state);
    expect(detail).toBeString();
    if (state !== "ok") expect(help).toBeString();
  }
});
