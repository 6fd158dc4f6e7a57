/** Starting a VM's process in the background, and waiting until it says that the guest runs. */
import {
  close,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_TRUNC,
  O_WRONLY,
  open,
  POLLIN,
  pidfdOpen,
  pidfdSendSignal,
  poll,
  read,
  SIG_BLOCK,
  SIG_SETMASK,
  SIGKILL,
  type SignalSet,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  sigmask,
  socketpair,
} from "@vmm/libc";
import { type FolderClaim, LOCK_FD_ENV, type VmPaths } from "@vmm/vmm/config/index.ts";
import { processSignals } from "@vmm/vmm/process/end-signals.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { reasonInLog } from "./log-tail.ts";

/** Names the fd on which the VM's process says how its start went. */
const READY_FD_ENV = "VMM_READY_FD";
/** Places of the fds in the new process. */
const READY_FD = 3;
const LOCK_FD = 4;

/** A start takes some 50 ms; one that preallocates much RAM takes longer. */
const START_TIMEOUT_MS = 120_000;
/** A process that has told its error ends within this time, or is made to. */
const END_TIMEOUT_MS = 5_000;
/** Longest line that is taken from the process. */
const MAX_LINE = 64 * 1024;

/** What the VM's process says when the guest runs. */
export interface ReadyReport {
  readonly pid: number;
  readonly accel: string;
  /** What the guest did not bring from where it was saved, one line each. */
  readonly warnings?: readonly string[];
}

/** The environment of a VM's process: ours, without what is only between vmm's own processes. */
export function vmEnvironment(more: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = { ...process.env };
  for (const name of Object.keys(env)) if (/^VMM_(READY_FD|LOCK_FD|CPR_)/.test(name)) delete env[name];
  return { ...env, ...more };
}

/** What the process is given: the claim on a new VM's folder, or the folder of one that it is to be the successor of. */
export type Place = FolderClaim | { readonly paths: VmPaths; readonly lockFd?: undefined; release(): void };

/**
 * A VM's process begins with the signals blocked that end it, and all of its threads inherit that: only where its event
 * loop waits are they met. One that comes while it must not, such as in an update, waits.
 *
 * @returns The mask of before.
 */
export const blockEndSignals = (): SignalSet => sigmask(SIG_BLOCK, processSignals());

function spawn(argv: readonly string[], { paths, lockFd }: Place, readyFd: number): number {
  const isNew = lockFd !== undefined;
  const log = open(paths.log, O_WRONLY | O_CREAT | (isNew ? O_TRUNC : O_APPEND) | O_CLOEXEC, 0o600);
  const lock = isNew ? { [LOCK_FD_ENV]: String(LOCK_FD) } : {};
  const mask = blockEndSignals();
  try {
    const child = Bun.spawn([...argv], {
      cwd: paths.folder,
      env: vmEnvironment({ [READY_FD_ENV]: String(READY_FD), ...lock }),
      stdio: ["ignore", log, log, readyFd, ...(isNew ? [lockFd] : [])],
      // A session of its own: neither Ctrl-C nor the end of this terminal is the VM's.
      detached: true,
    });
    child.unref();
    return child.pid;
  } finally {
    sigmask(SIG_SETMASK, mask);
    close(log);
  }
}

type Outcome = { line: string } | "end" | "timeout";

/** Reads until there is a whole line, the other side is gone, or the time is up. */
function awaitLine(fd: number, timeoutMs: number): Outcome {
  const deadline = Bun.nanoseconds() / 1e6 + timeoutMs;
  const chunk = new Uint8Array(new ArrayBuffer(4096));
  let text = "";
  while (text.length < MAX_LINE) {
    const left = Math.ceil(deadline - Bun.nanoseconds() / 1e6);
    if (left <= 0) return "timeout";
    if ((poll(fd, POLLIN, left) & ~0) === 0) continue;
    const n = read(fd, chunk) ?? 0;
    if (n === 0) return "end";
    text += new TextDecoder().decode(chunk.subarray(0, n));
    const end = text.indexOf("\n");
    if (end !== -1) return { line: text.slice(0, end) };
  }
  return "end";
}

/** What a line says of a VM that runs; `undefined` where it says something else. */
function readyReport(line: string): ReadyReport | undefined {
  if (!line.startsWith("ready ")) return undefined;
  try {
    return JSON.parse(line.slice("ready ".length));
  } catch {
    return undefined;
  }
}

/** Waits for the process to end, and ends it where it doesn't. */
function awaitEnd(pid: number, timeoutMs: number): void {
  let process: number;
  try {
    process = pidfdOpen(pid);
  } catch {
    // It has ended, and was reaped.
    return;
  }
  try {
    if (poll(process, POLLIN, timeoutMs) !== 0) return;
    pidfdSendSignal(process, SIGKILL);
    poll(process, POLLIN, END_TIMEOUT_MS);
  } finally {
    close(process);
  }
}

function failure(pid: number, outcome: Outcome, paths: VmPaths): CliError {
  const error = typeof outcome === "object" ? /^error (.*)$/.exec(outcome.line) : null;
  // One that has told its error, or closed its fds, is about to end by itself.
  awaitEnd(pid, error || outcome === "end" ? END_TIMEOUT_MS : 0);
  if (error) return new UsageError(error[1] as string);
  if (outcome === "timeout") {
    return new CliError(`the VM did not start within ${START_TIMEOUT_MS / 1000} s and was ended`);
  }
  if (outcome === "end") {
    const reason = reasonInLog(paths.log);
    return new CliError(`the VM's process ended before the guest ran${reason ? `: ${reason}` : ""}`);
  }
  return new CliError(`the VM's process said what nobody understands: ${outcome.line.slice(0, 200)}`);
}

/**
 * Starts the process and waits until the guest runs, or until it waits for one. From then on the folder's claim is the
 * process's.
 *
 * If this process is killed meanwhile, the VM starts all the same.
 *
 * @throws UsageError with what the VM's process says is wrong, CliError where it just ends or hangs. Nothing is left of
 *   the VM then, its folder included.
 */
export function launch(argv: readonly string[], place: Place): ReadyReport {
  const { paths, lockFd } = place;
  const [ours, theirs] = socketpair(SOCK_STREAM | SOCK_CLOEXEC);
  try {
    let pid: number;
    try {
      pid = spawn(argv, place, theirs);
    } finally {
      close(theirs);
    }
    const outcome = awaitLine(ours, START_TIMEOUT_MS);
    const report = typeof outcome === "object" ? readyReport(outcome.line) : undefined;
    if (!report) throw failure(pid, outcome, paths);
    if (lockFd !== undefined) close(lockFd);
    return report;
  } catch (error) {
    place.release();
    throw error;
  } finally {
    close(ours);
  }
}
