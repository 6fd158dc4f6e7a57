/**
 * The preflight: runs the new command on the live state, read only, while the guest runs. Whatever is wrong with the
 * command is found here, before anything has happened to the guest.
 */
import { close, fstat, lockedMemory, MFD_CLOEXEC, memfdCreate, preadAll, runBehind } from "@vmm/libc";
import { CprError, reasonOf } from "../cpr-error.ts";
import { CPR_FD, type CprState, encodeCprState } from "../cpr-state.ts";
import { endFamily } from "../descendants.ts";
import { CPR_PREFLIGHT_ENV } from "../environment.ts";
import { resolveExecTarget } from "../exec/exec-target.ts";
import { faultPoint } from "../fault.ts";
import { identifyFd } from "../fd-identity.ts";
import type { FdEntry } from "../fd-table.ts";
import type { CprHost } from "../host.ts";
import type { MigrationMode } from "../modes.ts";
import type { Environment } from "../persist.ts";
import { sealedMemfd } from "../sealed-memfd.ts";
import { stateHeader } from "../state/clocks.ts";
import { encodeState } from "../state/codec.ts";
import { describeBlocks, MAX_REPORT, type PreflightReport, parseReport, refusal } from "./report.ts";
import { StderrTail } from "./stderr-tail.ts";

export interface PreflightOptions {
  readonly host: CprHost;
  readonly mode: MigrationMode;
  readonly command: readonly string[];
  readonly timeoutMs: number;
  /** Aborts the preflight: the command is killed. */
  readonly signal?: AbortSignal;
}

interface HandOver {
  /** Of the CPR state. */
  readonly stateFd: number;
  /** By the command's numbers; what is ignored is closed in it, but for stdio. */
  readonly stdio: (number | "ignore")[];
}

/** The fds that live as long as the preflight. */
class PreflightFds {
  readonly #own: number[] = [];
  readonly report: number;
  readonly #main: number;

  constructor(host: CprHost, mode: MigrationMode) {
    try {
      this.#main = this.#keep(
        sealedMemfd("vmm-preflight-state", encodeState(stateHeader(host, mode), host.previewState())),
      );
      faultPoint("memfd");
      this.report = this.#keep(memfdCreate("vmm-preflight-report", MFD_CLOEXEC));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What the command gets: every fd under its own number, as in an update. */
  handOver(host: CprHost, mode: MigrationMode): HandOver {
    const entries: FdEntry[] = [
      ...host.fds.entries(),
      { name: CPR_FD.main, id: 0, fd: this.#main },
      { name: CPR_FD.preflightReport, id: 0, fd: this.report },
    ];
    const fds = entries.map((entry) => ({ ...entry, ...identifyFd(entry.fd) }));
    const state: CprState = {
      writer: host.version,
      mode,
      attempt: 0,
      fds,
      ids: host.ids.entries(),
      main: { type: "memfd" },
      oldCommand: host.command,
      children: {},
      startNs: 0,
      setupEndNs: 0,
      lockedBytes: lockedMemory(),
      phases: [],
    };
    const stateFd = this.#keep(sealedMemfd("vmm-cpr-state", encodeCprState(state)));
    const stdio: HandOver["stdio"] = ["ignore", "ignore", "ignore"];
    for (const fd of [stateFd, ...entries.map((entry) => entry.fd)]) stdio[fd] = fd;
    return { stateFd, stdio: Array.from(stdio, (entry) => entry ?? "ignore") };
  }

  close(): void {
    for (const fd of this.#own.splice(0)) close(fd);
  }

  #keep(fd: number): number {
    this.#own.push(fd);
    return fd;
  }
}

type Ending = {
  readonly late: boolean;
  readonly exitCode: number | null;
  readonly signal: string | number | null;
  /** The end of what it said there. */
  readonly stderr: string;
};

function spawn(target: string, command: readonly string[], env: Environment, stdio: (number | string)[]) {
  try {
    return Bun.spawn([target, ...command.slice(1)], {
      argv0: command[0] as string,
      env,
      stdio: stdio as ["ignore", "ignore", number],
      // A process group of its own, so that a wrapper's children can be killed with it.
      detached: true,
    });
  } catch (cause) {
    const text = `cannot start ${target} for the preflight: ${reasonOf(cause)}`;
    throw new CprError("exec-target", text, { cause });
  }
}

async function runToEnd(options: PreflightOptions, handOver: HandOver): Promise<Ending> {
  const tail = new StderrTail();
  try {
    const child = start(options, handOver, tail.fd);
    tail.handedOver();
    const late = await awaitEnd(child, options);
    return { late, exitCode: child.exitCode, signal: child.signalCode, stderr: tail.end() };
  } catch (error) {
    tail.end();
    throw error;
  }
}

function start({ command, host }: PreflightOptions, { stateFd, stdio }: HandOver, stderr: number) {
  const target = resolveExecTarget(command, host.environment);
  const env = { ...host.environment, [CPR_PREFLIGHT_ENV]: String(stateFd) };
  const child = spawn(target, command, env, stdio.with(2, stderr));
  // whoever looks at a guest is not to take time from it
  runBehind(child.pid);
  return child;
}

/** Returns whether it had to be ended since its time was over. */
async function awaitEnd(child: Bun.Subprocess, { timeoutMs, signal }: PreflightOptions): Promise<boolean> {
  // with all that it has started
  const endGroup = () => endFamily(child);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    endGroup();
  }, timeoutMs);
  signal?.addEventListener("abort", endGroup);
  if (signal?.aborted) endGroup();
  try {
    await child.exited;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", endGroup);
    endGroup();
  }
  return late;
}

function judge(options: PreflightOptions, report: number, ending: Ending): PreflightReport {
  const { command, timeoutMs } = options;
  const lastLine = ending.stderr.split("\n").at(-1);
  const said = lastLine ? `; it said: ${lastLine}` : "";
  if (ending.late)
    return refusal(command, `did not answer the preflight within ${timeoutMs} ms and was killed`);
  if (ending.signal !== null)
    return refusal(command, `was ended by ${ending.signal} in the preflight${said}`);
  const size = fstat(report).size;
  if (size === 0) {
    const status = `ended with status ${ending.exitCode} and without an answer`;
    return refusal(command, `${status}: it is not a VMM that knows the preflight${said}`);
  }
  if (size > MAX_REPORT)
    return refusal(command, `answered the preflight with ${size} bytes, which is too much`);
  const bytes = new Uint8Array(new ArrayBuffer(size));
  preadAll(report, bytes, 0);
  try {
    return parseReport(bytes);
  } catch (error) {
    return refusal(command, `answered the preflight with nonsense: ${reasonOf(error)}`);
  }
}

/**
 * Asks the command. It is always over within the time, and leaves no process and no fd.
 *
 * @returns The command's report, or one that says what was wrong with it.
 * @throws CprError `exec-target`, `cancelled` where it was aborted.
 */
export async function runPreflight(options: PreflightOptions): Promise<PreflightReport> {
  const { host, mode, signal } = options;
  const fds = new PreflightFds(host, mode);
  try {
    const ending = await runToEnd(options, fds.handOver(host, mode));
    if (signal?.aborted) throw new CprError("cancelled", "the migration was cancelled");
    return judge(options, fds.report, ending);
  } finally {
    fds.close();
  }
}

/** @throws CprError `preflight` with what blocks, where something does. */
export function requireOk(report: PreflightReport): void {
  if (!report.ok) throw new CprError("preflight", `the preflight found: ${describeBlocks(report)}`);
}
