/** Processes: identity, exec, clone, wait, pidfd, prctl. */
import { cString, cStringArray } from "./c-string.ts";
import { check } from "./check.ts";
import { errno } from "./errno.ts";
import { libc } from "./libc.ts";
import { mmap, munmap } from "./memory.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";
import { AT_EMPTY_PATH } from "./uapi/fcntl.ts";
import { MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, MAP_STACK, PROT_READ, PROT_WRITE } from "./uapi/mman.ts";
import * as numbers from "./uapi/process.ts";
import { CLONE_VM, SYS_pidfd_open, SYS_pidfd_send_signal, type WNOHANG } from "./uapi/process.ts";
import { SIGCHLD } from "./uapi/signal.ts";

export const getpid: () => number = libc.getpid;
export const gettid: () => number = libc.gettid;
export const getppid: () => number = libc.getppid;

/** Starts a new session, and returns its id. */
export function setsid(): number {
  return check("setsid", libc.setsid(), `process ${libc.getpid()}`);
}

/** Variables for a new program. `process.env` fits: `undefined` stands for a variable that is not there. */
export type Environment = Readonly<Record<string, string | undefined>>;

function environment(call: string, env: Environment): Uint8Array {
  const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return cStringArray(
    call,
    set.map(([name, value]) => `${name}=${value}`),
  );
}

/**
 * Replaces this process by a program. Returns only by throwing.
 *
 * The environment is what `env` says: changes to `process.env` are JavaScript's own and never reach libc's `environ`,
 * so they count only where the caller passes them on. fds with FD_CLOEXEC are closed, and Bun sets that on all that it
 * inherits; blocked and ignored signals, rlimits and O_NONBLOCK on shared fds stay. Other threads end.
 *
 * @param path The program's file; PATH is not searched.
 */
export function execve(path: string, argv: readonly string[], env: Environment): never {
  const args = cStringArray("execve", argv);
  const vars = environment("execve", env);
  libc.execve(cString("execve", path), args, vars);
  throw new SyscallError("execve", errno(), path);
}

/**
 * As `execve`, but runs the program that `fd` has open, whatever has become of its path.
 *
 * A script (`#!`) fails with ENOENT where the fd has FD_CLOEXEC, since its interpreter opens it by `/dev/fd/N`.
 */
export function execveat(fd: number, argv: readonly string[], env: Environment): never {
  const args = cStringArray("execveat", argv);
  const vars = environment("execveat", env);
  libc.execveat(fd, "", args, vars, AT_EMPTY_PATH);
  throw new SyscallError("execveat", errno(), `fd ${fd}`);
}

/** The address of a function of libc (or of any library that is loaded). */
export function symbolAddress(name: string): number {
  const address = libc.dlsym(null, cString("dlsym", name));
  if (address === 0) throw new SyscallError("dlsym", E.ENOSYS, name);
  return address;
}

/** A process made by `cloneVm`. */
export interface ClonedProcess {
  readonly pid: number;
  /** Its stack, in our address space too: `munmap(stack, stackBytes)` once the process has ended. */
  readonly stack: number;
  readonly stackBytes: number;
}

/**
 * Starts a process that shares this address space (CLONE_VM) and runs one C function, whose result is its exit status.
 *
 * While it lives, exec by us does not tear the address space down. It shares the calling thread's TLS, errno included,
 * so the function must do next to nothing: `pause` and `sleep` of libc, or raw system calls. It has copies of our fds
 * unless `flags` says CLONE_FILES, and our signal mask.
 *
 * @param functionAddress From `symbolAddress` or `executable`.
 * @param argument The function's one argument.
 * @param flags The signal sent to us at its end, and CLONE_* besides CLONE_VM.
 */
export function cloneVm(
  functionAddress: number,
  argument: number,
  stackBytes = 64 * 1024,
  flags: number = SIGCHLD,
): ClonedProcess {
  const stack = mmap({
    length: stackBytes,
    prot: PROT_READ | PROT_WRITE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
  });
  const top = stack + (stackBytes & ~15);
  const pid = libc.clone(functionAddress, top, flags | CLONE_VM, argument);
  if (pid === -1) {
    const error = errno();
    munmap(stack, stackBytes);
    throw new SyscallError("clone", error, `function at 0x${functionAddress.toString(16)}`);
  }
  return { pid, stack, stackBytes };
}

/** How a child ended: by itself, with a status, or by a signal. */
export interface ChildEnd {
  readonly pid: number;
  readonly exitCode?: number;
  readonly signal?: number;
}

/**
 * Waits for a child to end, and releases its pid.
 *
 * @param pid The child, or -1 for any.
 * @param flags WNOHANG to look only.
 * @returns `undefined` with WNOHANG where no child has ended.
 */
export function waitpid(pid: number, flags: typeof WNOHANG | 0 = 0): ChildEnd | undefined {
  const status = new Int32Array(1);
  for (;;) {
    const child = libc.waitpid(pid, status, flags);
    if (child > 0) return decodeStatus(child, status[0] as number);
    if (child === 0) return undefined;
    const error = errno();
    if (error !== E.EINTR) throw new SyscallError("waitpid", error, `process ${pid}`);
  }
}

function decodeStatus(pid: number, status: number): ChildEnd {
  const signal = status & 0x7f;
  return signal === 0 ? { pid, exitCode: (status >> 8) & 0xff } : { pid, signal };
}

/** An fd for a process: readable when it has ended, and never about another process with the same pid. */
export function pidfdOpen(pid: number, flags = 0): number {
  return check("pidfd_open", libc.syscall(SYS_pidfd_open, pid, flags, 0, 0, 0, 0), `process ${pid}`);
}

/** Sends a signal to the process of a pidfd. */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  const result = libc.syscall(SYS_pidfd_send_signal, pidfd, signal, 0, 0, 0, 0);
  check("pidfd_send_signal", result, `signal ${signal} to pidfd ${pidfd}`);
}

/** prctl(2) with plain numbers, such as `prctl(PR_SET_PDEATHSIG, SIGKILL)`. */
export function prctl(option: number, a = 0, b = 0, c = 0, d = 0): number {
  const result = libc.prctl(option, a, b, c, d);
  return result === -1 ? check("prctl", result, optionName(option)) : result;
}

function optionName(option: number): string {
  const known = Object.entries(numbers).find(([name, n]) => name.startsWith("PR_") && n === option);
  return known?.[0] ?? `option ${option}`;
}
