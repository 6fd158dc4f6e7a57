/**
 * Signals without handlers: masks, waiting, sending, dispositions.
 *
 * Never block SIGPWR: the JavaScript engine suspends threads with it.
 */
import { check, checkThread } from "./check.ts";
import { errno } from "./errno.ts";
import { bytes, i32, struct, u64 } from "./layout.ts";
import { libc } from "./libc.ts";
import { isSyscallError, SyscallError } from "./syscall-error.ts";
import { timespec } from "./time.ts";
import { E } from "./uapi/errno.ts";
import * as numbers from "./uapi/signal.ts";

/** `SIGTERM` for 15; `signal 34` where there is no name. */
export function signalName(signal: number): string {
  const known = Object.entries(numbers).find(([name, n]) => n === signal && !name.startsWith("SIG_"));
  return known?.[0] ?? `signal ${signal}`;
}

/** glibc's sigset_t has room for 1024 signals; the kernel's is its first 8 bytes. */
const SIGSET_SIZE = 128;
const KERNEL_SIGSET_SIZE = 8;

/** A set of signals, 1 to 64. */
export class SignalSet {
  /** glibc's sigset_t, 128 bytes. */
  readonly bytes = new Uint8Array(new ArrayBuffer(SIGSET_SIZE));

  constructor(signals: Iterable<number> = []) {
    for (const signal of signals) this.add(signal);
  }

  /** Every signal except those given. To block such a set, give SIGPWR and the fault signals among them. */
  static allExcept(signals: Iterable<number>): SignalSet {
    const set = new SignalSet();
    set.bytes.fill(0xff, 0, KERNEL_SIGSET_SIZE);
    for (const signal of signals) set.delete(signal);
    return set;
  }

  /** The 8 bytes of the kernel's own sigset_t, in place: what KVM_SET_SIGNAL_MASK and signalfd want. */
  get kernelMask(): Uint8Array {
    return this.bytes.subarray(0, KERNEL_SIGSET_SIZE);
  }

  #bit(signal: number): { at: number; mask: number } {
    if (!Number.isInteger(signal) || signal < 1 || signal > 64) throw new RangeError(`signal ${signal}`);
    return { at: (signal - 1) >> 3, mask: 1 << ((signal - 1) & 7) };
  }

  add(signal: number): this {
    const { at, mask } = this.#bit(signal);
    this.bytes[at] = (this.bytes[at] as number) | mask;
    return this;
  }

  delete(signal: number): this {
    const { at, mask } = this.#bit(signal);
    this.bytes[at] = (this.bytes[at] as number) & ~mask;
    return this;
  }

  has(signal: number): boolean {
    const { at, mask } = this.#bit(signal);
    return ((this.bytes[at] as number) & mask) !== 0;
  }

  /** The signals in the set, ascending. */
  *[Symbol.iterator](): Iterator<number> {
    for (let signal = 1; signal <= 64; signal++) if (this.has(signal)) yield signal;
  }
}

/**
 * Changes which signals this thread blocks (SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK), and returns what it blocked before.
 * Threads and programs that are started later inherit the mask.
 */
export function sigmask(how: number, set: SignalSet): SignalSet {
  const old = new SignalSet();
  checkThread("pthread_sigmask", libc.pthread_sigmask(how, set.bytes, old.bytes), `how ${how}`);
  return old;
}

/** The signals that this thread blocks. */
export function blockedSignals(): SignalSet {
  const old = new SignalSet();
  checkThread("pthread_sigmask", libc.pthread_sigmask(0, null, old.bytes), "query");
  return old;
}

/**
 * Takes a pending signal of the set, which this thread must block, or waits for one.
 *
 * @param timeoutNs The longest wait in ns; 0 only looks.
 * @returns The signal; `undefined` where the time is up, or where another signal interrupted the wait.
 */
export function sigtimedwait(set: SignalSet, timeoutNs: number | bigint): number | undefined {
  const signal = libc.sigtimedwait(set.bytes, null, timespec(timeoutNs).$view);
  if (signal !== -1) return signal;
  const error = errno();
  if (error === E.EAGAIN || error === E.EINTR) return undefined;
  throw new SyscallError("sigtimedwait", error, `${timeoutNs} ns`);
}

/**
 * Lets pending signals of the set, which this thread blocks, meet their handlers now. It is one system call: nothing else
 * runs on this thread without its mask, and no thread is started without it.
 */
export function meetSignals(set: SignalSet): void {
  const mask = blockedSignals();
  for (const signal of set) mask.delete(signal);
  if (libc.ppoll(null, 0, timespec(0).$view, mask.bytes) !== -1) return;
  const error = errno();
  if (error !== E.EINTR) throw new SyscallError("ppoll", error, "for signals");
}

/** Sends a signal to one thread. */
export function tgkill(tgid: number, tid: number, signal: number): void {
  check("tgkill", libc.tgkill(tgid, tid, signal), `${signalName(signal)} to thread ${tid} of ${tgid}`);
}

/** Sends a signal to a process, or to a process group where `pid` is negative. Signal 0 only checks. */
export function kill(pid: number, signal: number): void {
  check("kill", libc.kill(pid, signal), `${signalName(signal)} to process ${pid}`);
}

/** The same where there may be no such process any more. Returns whether there was one. */
export function killIfThere(pid: number, signal: number): boolean {
  try {
    kill(pid, signal);
    return true;
  } catch (error) {
    if (isSyscallError(error, "ESRCH")) return false;
    throw error;
  }
}

/** glibc's `struct sigaction` (`bits/sigaction.h`). */
export const Sigaction = struct("sigaction", {
  sa_handler: u64,
  sa_mask: bytes(SIGSET_SIZE),
  sa_flags: i32,
  sa_restorer: u64,
});

/** System calls that it interrupts go on (`asm-generic/signal-defs.h`). */
const SA_RESTART = 0x10000000;
const SIG_DFL = 0n;
const SIG_IGN = 1n;

/** What a signal does to the process. */
export type Disposition = "default" | "ignore" | "handler";

/**
 * What a signal does, for the whole process. `ignore` survives exec; a handler becomes `default` there. Bun starts with
 * SIGPIPE and SIGXFSZ ignored.
 *
 * @returns What it did before.
 */
export function setDisposition(signal: number, disposition: "default" | "ignore"): Disposition {
  const action = Sigaction.of({ sa_handler: disposition === "ignore" ? SIG_IGN : SIG_DFL });
  return changeAction(signal, action.$view);
}

export function getDisposition(signal: number): Disposition {
  return changeAction(signal, null);
}

/** What a signal did, to be given back by `restoreAction`. */
export type SavedAction = DataView;

/**
 * Has machine code handle a signal, on whichever thread it comes, without a word to the runtime.
 *
 * @param handler Address of `void handler(int signal)`; see `executable`. It may do only what is safe at any instruction.
 */
export function setNativeHandler(signal: number, handler: number): SavedAction {
  const [action, old] = [
    Sigaction.of({ sa_handler: BigInt(handler), sa_flags: SA_RESTART }),
    Sigaction.alloc(),
  ];
  check("sigaction", libc.sigaction(signal, action.$view, old.$view), signalName(signal));
  return old.$view;
}

export function restoreAction(signal: number, saved: SavedAction): void {
  check("sigaction", libc.sigaction(signal, saved, null), signalName(signal));
}

function changeAction(signal: number, action: DataView | null): Disposition {
  const old = Sigaction.alloc();
  check("sigaction", libc.sigaction(signal, action, old.$view), signalName(signal));
  if (old.sa_handler === SIG_DFL) return "default";
  return old.sa_handler === SIG_IGN ? "ignore" : "handler";
}
