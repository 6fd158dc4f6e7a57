/** What the kernel says of other processes, by /proc. */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

/** A process that is gone has none of what is asked for. */
function orNothing<T>(look: () => T, nothing: T): T {
  try {
    return look();
  } catch {
    return nothing;
  }
}

export interface OpenFd {
  readonly fd: number;
  /** Where the link in /proc/PID/fd leads, such as `/memfd:ram0 (deleted)` or `socket:[1234]`. */
  readonly link: string;
  /** Device and inode: what it is. Kernel objects without a file share one inode. */
  readonly identity: string;
  /** Whether it is closed by exec. */
  readonly cloexec: boolean;
}

const O_CLOEXEC = 0o2000000;

export function openFdsOf(pid: number): OpenFd[] {
  const folder = `/proc/${pid}/fd`;
  const numbers = orNothing(() => readdirSync(folder), []).map(Number);
  return numbers
    .sort((a, b) => a - b)
    .flatMap((fd) =>
      orNothing(() => {
        const { dev, ino } = statSync(`${folder}/${fd}`);
        const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1");
        const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? "0", 8);
        const link = readlinkSync(`${folder}/${fd}`);
        return [{ fd, link, identity: `${dev}:${ino}`, cloexec: (flags & O_CLOEXEC) !== 0 }];
      }, []),
    );
}

/** The children of all threads of a process, zombies among them. */
export function childrenOf(pid: number): number[] {
  const tasks = orNothing(() => readdirSync(`/proc/${pid}/task`), []);
  return tasks.flatMap((task) =>
    orNothing(() => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8"), "")
      .split(" ")
      .filter((word) => word !== "")
      .map(Number),
  );
}

/** The variables with which a process was started: what it does to its own later is not seen here. */
export function environmentOf(pid: number): Map<string, string> {
  const text = orNothing(() => readFileSync(`/proc/${pid}/environ`, "utf8"), "");
  const words = text.split("\0").filter((word) => word.includes("="));
  return new Map(words.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]));
}

/** What else a process was given and passes on: its working directory, file mode mask and limits, a line each. */
export function settingsOf(pid: number): string[] {
  const text = (file: string) => orNothing(() => readFileSync(`/proc/${pid}/${file}`, "utf8"), "");
  const cwd = orNothing(() => readlinkSync(`/proc/${pid}/cwd`), "none");
  const umask = /^Umask:\s*(\d+)/m.exec(text("status"))?.[1] ?? "none";
  const limits = text("limits").trimEnd().split("\n").slice(1);
  return [`cwd ${cwd}`, `umask ${umask}`, ...limits.map((line) => line.replace(/ +/g, " ").trim())];
}

export function commandLineOf(pid: number): string[] {
  return orNothing(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"), "")
    .split("\0")
    .slice(0, -1);
}

export interface Thread {
  readonly tid: number;
  readonly name: string;
  /** The signals that it blocks: bit N - 1 stands for signal N. */
  readonly blocked: bigint;
}

export function threadsOf(pid: number): Thread[] {
  const tasks = orNothing(() => readdirSync(`/proc/${pid}/task`), []);
  return tasks.flatMap((task) => {
    const status = orNothing(() => readFileSync(`/proc/${pid}/task/${task}/status`, "latin1"), "");
    return status === "" ? [] : [parseThread(Number(task), status)];
  });
}

function parseThread(tid: number, status: string): Thread {
  const [name, blocked] = [/^Name:\t(.*)$/m, /^SigBlk:\t([0-9a-f]+)$/m].map((line) => line.exec(status)?.[1]);
  if (name === undefined || blocked === undefined)
    throw new Error(`no name or mask of thread ${tid}: ${status}`);
  return { tid, name, blocked: BigInt(`0x${blocked}`) };
}

/** How many threads of a process are the runtime's for a `Worker`. */
export const workersOf = (pid: number): number =>
  threadsOf(pid).filter(({ name }) => name === "Worker").length;

/** How many connections to a listening Unix socket there are, as its server has them or has yet to take them. */
export function connectionsTo(path: string): number {
  const lines = readFileSync("/proc/net/unix", "utf8").split("\n");
  // SS_CONNECTING to SS_DISCONNECTING (linux/net.h); the listener itself is unconnected
  const [state, connections] = [5, ["02", "03", "04"]];
  const isOne = (line: string) => connections.includes(line.split(/\s+/)[state] ?? "");
  return lines.filter((line) => line.endsWith(` ${path}`) && isOne(line)).length;
}

/** A value of /proc/PID/status, such as `VmRSS` in kB; 0 where there is none. */
export function statusValue(pid: number, name: string): number {
  const text = orNothing(() => readFileSync(`/proc/${pid}/status`, "utf8"), "");
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(text)?.[1] ?? 0);
}

/** Whether there is such a process, and it has not ended. */
export function isAlive(pid: number): boolean {
  const text = orNothing(() => readFileSync(`/proc/${pid}/stat`, "latin1"), "");
  return text !== "" && !/\) [ZX] /.test(text);
}

/** All processes that were started with a variable of this value, and have not ended. */
export function processesWith(name: string, value: string): number[] {
  const wanted = `${name}=${value}\0`;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => orNothing(() => readFileSync(`/proc/${pid}/environ`, "latin1"), "").includes(wanted))
    .map(Number)
    .filter(isAlive);
}
