import { expect, test } from "bun:test";
import { dirname, join } from "node:path";
import { fdScope } from "../test/scope.ts";
import { poll } from "./event.ts";
import {
  getpid,
  getppid,
  gettid,
  pidfdOpen,
  pidfdSendSignal,
  prctl,
  symbolAddress,
  waitpid,
} from "./process.ts";
import { POLLIN } from "./uapi/event.ts";
import { PR_GET_TIMERSLACK, PR_SET_TIMERSLACK, WNOHANG } from "./uapi/process.ts";
import { SIGKILL } from "./uapi/signal.ts";

const program = join(dirname(import.meta.dir), "test", "programs", "process.ts");

/** Runs one case of the program, for what would end or change the test process itself. */
async function run(name: string) {
  const child = Bun.spawn([process.execPath, program, name], {
    stdout: "pipe",
    stderr: "pipe",
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { pid: child.pid, lines: stdout.trimEnd().split("\n"), stderr, status };
}

test("execve keeps the pid, passes the environment and the fds without CLOEXEC", async () => {
  const { pid, lines, status } = await run("execve");
  expect(lines).toEqual([`${pid} changed é unset`, "kept", "closed"]);
  expect(status).toBe(7);
});

test("execveat runs a program whose file is gone", async () => {
  const { pid, lines, status } = await run("execveat");
  expect(lines).toEqual([`${pid} first second`]);
  expect(status).toBe(0);
});

test("a failed exec leaves the process running, and says what was missing", async () => {
  const { lines, status } = await run("exec-fails");
  expect(lines).toEqual([
    "execve /nonexistent: ENOENT (no such file or directory)",
    "execve /: EACCES (permission denied)",
    "execve /bin/sh: E2BIG (argument list too long)",
    'execve "a\\u0000b": EINVAL (invalid argument)',
    "execveat fd 999999: EBADF (bad file descriptor)",
    "still here",
  ]);
  expect(status).toBe(0);
});

test("a clone with CLONE_VM writes to our memory, has our fds, and gives its status", async () => {
  const { lines, status } = await run("clone");
  expect(lines).toEqual(["1234", "exit 42", "same address space", "signal 9", "no child left: ECHILD"]);
  expect(status).toBe(0);
});

test("setsid makes a session once", async () => {
  const { pid, lines } = await run("setsid");
  expect(lines).toEqual([`${pid}`, `setsid process ${pid}: EPERM (operation not permitted)`]);
});

test("a pidfd is ready when its process has ended, which a signal through it brings about", async () => {
  using fds = fdScope();
  const child = Bun.spawn(["sleep", "1000"]);
  const pidfd = fds.own(pidfdOpen(child.pid));
  expect(poll(pidfd, POLLIN, 0)).toBe(0);
  pidfdSendSignal(pidfd, SIGKILL);
  expect(poll(pidfd, POLLIN, 10_000)).toBe(POLLIN);
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  expect(() => pidfdSendSignal(pidfd, 0)).toThrow("ESRCH");
  expect(() => pidfdOpen(2 ** 22 + 1)).toThrow(`pidfd_open process ${2 ** 22 + 1}: ESRCH`);
});

test("a process knows itself and its parent", () => {
  expect([getpid(), getppid(), gettid()]).toEqual([process.pid, process.ppid, process.pid]);
});

test("prctl sets and gets, and names the option it was refused", () => {
  const old = prctl(PR_GET_TIMERSLACK);
  prctl(PR_SET_TIMERSLACK, 12_345);
  expect(prctl(PR_GET_TIMERSLACK)).toBe(12_345);
  prctl(PR_SET_TIMERSLACK, old);
  expect(() => prctl(38, 5)).toThrow("prctl PR_SET_NO_NEW_PRIVS: EINVAL");
  expect(() => prctl(123_456)).toThrow("prctl option 123456: EINVAL");
});

test("symbols of libc have addresses, others are refused", () => {
  expect(symbolAddress("pause")).toBeGreaterThan(4096);
  expect(() => symbolAddress("no_such_function")).toThrow("dlsym no_such_function: ENOSYS");
});

test("waiting for a process that is not a child fails", () => {
  expect(() => waitpid(1, WNOHANG)).toThrow("waitpid process 1: ECHILD");
});
