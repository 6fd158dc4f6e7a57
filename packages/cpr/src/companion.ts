/** A process that is started for an update and may outlive this one: it has a session of its own, and a connection to us. */
import { readlinkSync, statSync } from "node:fs";
import { close, SOCK_CLOEXEC, SOCK_SEQPACKET, socketpair, standBack } from "@vmm/libc";
import { CprError, type CprErrorCode, reasonOf } from "./cpr-error.ts";
import { endFamily } from "./descendants.ts";
import type { Environment } from "./persist.ts";

/** The companion's number of its end of the connection. */
export const COMPANION_FD = 3;
/** Where the guest leaves it no time, it does not stand back for longer (ms). */
const BEHIND_MS = 2000;
const WORKING_DIRECTORY = "/proc/self/cwd";

export interface CompanionOptions {
  /** The program's file. */
  readonly target: string;
  /** Its command line, argv[0] first. */
  readonly command: readonly string[];
  readonly env: Environment;
  /** For the error where it cannot be started. */
  readonly code: CprErrorCode;
}

export class Companion {
  /** Our end of the connection, a SOCK_SEQPACKET; the caller's to close. */
  readonly socket: number;
  readonly process: Bun.Subprocess;
  #forward: (() => void) | undefined;

  private constructor(socket: number, process: Bun.Subprocess) {
    this.socket = socket;
    this.process = process;
    this.#forward = standBack(process.pid);
    if (this.#forward) setTimeout(() => this.comeForward(), BEHIND_MS).unref();
  }

  /** Starts it. It takes no time from the guest where it can be helped, until it is told to come forward. */
  static start({ target, command, env, code }: CompanionOptions): Companion {
    checkWorkingDirectory(code);
    const [ours, theirs] = socketpair(SOCK_SEQPACKET | SOCK_CLOEXEC);
    try {
      const process = Bun.spawn([target, ...command.slice(1)], {
        argv0: command[0] as string,
        env: { ...env },
        // it may become the VMM, or keep the VMM's stdio at hand for who does
        stdio: ["inherit", "inherit", "inherit", theirs],
        detached: true,
      });
      process.unref();
      return new Companion(ours, process);
    } catch (cause) {
      close(ours);
      throw new CprError(code, `cannot start ${target}: ${reasonOf(cause)}`, { cause });
    } finally {
      close(theirs);
    }
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** How it has ended, such as `ended with status 7`; just `ended` where that is not known, or not yet. */
  get ending(): string {
    const { exitCode, signalCode } = this.process;
    if (signalCode !== null) return `was ended by ${signalCode}`;
    return exitCode === null ? "ended" : `ended with status ${exitCode}`;
  }

  /** Waits until it has ended, for so long at most (ms). */
  async awaitEnd(limitMs: number): Promise<void> {
    await Promise.race([this.process.exited, Bun.sleep(limitMs)]);
  }

  /** What it does from now on is as urgent as what this process does. */
  comeForward(): void {
    const forward = this.#forward;
    this.#forward = undefined;
    if (!this.hasEnded) forward?.();
  }

  /** Kills it, with all that it has started: it may be a wrapper that waits for what matters. */
  kill(): void {
    endFamily(this.process);
  }
}

/** Bun does not start in a directory that was removed, and nobody would hear why. */
function checkWorkingDirectory(code: CprErrorCode): void {
  const removed = readlinkSync(WORKING_DIRECTORY).endsWith(" (deleted)");
  if (!removed || statSync(WORKING_DIRECTORY).nlink > 0) return;
  throw new CprError(code, "the working directory of this VMM was removed: no other VMM can start there");
}
