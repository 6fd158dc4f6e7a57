import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fdPath, openFds } from "@vmm/libc";
import { claimFolder, isClaimed, type VmPaths, vmPaths } from "@vmm/vmm/config/index.ts";
import { launch } from "./launch.ts";

let root = "";
let paths: VmPaths;
let fds: number[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vmm-launch-"));
  paths = vmPaths(join(root, "a"));
  fds = ourFds();
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
  expect(ourFds()).toEqual(fds);
});

/** Bun keeps a pidfd of a child until its event loop has heard of the end. */
const isOurs = (fd: number): boolean => {
  try {
    return !fdPath(fd).includes("pidfd");
  } catch {
    // closed since it was listed
    return false;
  }
};
const ourFds = () => openFds().filter(isOurs);

/** Launches a shell in place of a VM: fd 3 is the one to report on, fd 4 the lock. */
const launchShell = (script: string) => launch(["/bin/sh", "-c", script], claimFolder(paths, "a"));

/** Whether the process is there and not only waiting to be reaped. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

const sleeper = 'echo printed; echo "ready {\\"pid\\":$$,\\"accel\\":\\"kvm\\"}" >&3; kill -STOP $$';

test("a process that is ready keeps the folder, in a session of its own, with its output in the log", () => {
  const { pid, accel } = launchShell(sleeper);
  try {
    expect(accel).toBe("kvm");
    expect(isClaimed(paths)).toBe(true);
    expect(readFileSync(paths.log, "utf8")).toBe("printed\n");
    expect(statSync(paths.log).mode & 0o777).toBe(0o600);
    const session = Number(readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ")[3]);
    expect(session).toBe(pid);
    const variables = readFileSync(`/proc/${pid}/environ`, "latin1");
    expect(variables).toContain("VMM_LOCK_FD=4");
  } finally {
    process.kill(pid, "SIGKILL");
  }
});

test("nothing between VMM processes leaks into the environment of a new VM", () => {
  process.env.VMM_CPR_TRANSFER = "7";
  try {
    const { pid } = launchShell(sleeper);
    const variables = readFileSync(`/proc/${pid}/environ`, "latin1");
    process.kill(pid, "SIGKILL");
    expect(variables).not.toContain("VMM_CPR_TRANSFER");
  } finally {
    delete process.env.VMM_CPR_TRANSFER;
  }
});

test.each([
  ["an error is passed on", "echo error no such kernel >&3; exit 2", "no such kernel", 2],
  [
    "an end without a word is told, with what the log says",
    "echo vmm: oh dear; exit 1",
    "guest ran: vmm: oh dear",
    1,
  ],
  ["an end by a signal is an end", "kill -9 $$", "ended before the guest ran", 1],
  [
    "a line that makes no sense is not taken for readiness",
    "echo hello >&3; exec sleep 1000",
    "nobody understands: hello",
    1,
  ],
  ["a readiness that is not JSON is none", "echo 'ready {' >&3", "nobody understands: ready {", 1],
] as const)(
  "%s, and nothing is left",
  (_, script, message, exitCode) => {
    let thrown: unknown;
    try {
      launchShell(`echo $$ > ${root}/pid; ${script}`);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ exitCode });
    expect((thrown as Error).message).toContain(message);
    expect(existsSync(paths.folder)).toBe(false);
    const pid = Number(readFileSync(join(root, "pid"), "utf8"));
    const deadline = performance.now() + 5_000;
    while (runs(pid) && performance.now() < deadline) Bun.sleepSync(1);
    expect(runs(pid)).toBe(false);
  },
  20_000,
);

test("a program that does not exist is an error, and nothing is left", () => {
  expect(() => launch(["/no/such/image"], claimFolder(paths, "a"))).toThrow();
  expect(existsSync(paths.folder)).toBe(false);
});
