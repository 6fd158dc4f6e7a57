/**
 * Telling whoever started us how it went: one line on the fd that `VMM_READY_FD` names, `ready {...}` or `error TEXT`.
 * Without that variable success is silent and an error goes to stderr.
 */
import { close, isSyscallError, writeAll } from "@vmm/libc";

export const READY_ENV = "VMM_READY_FD";

/** What is told of a VM that runs. */
export interface ReadyReport {
  readonly pid: number;
  readonly accel: string;
  /** What a guest that came in did not bring, one line each. */
  readonly warnings?: readonly string[];
}

const take = (): number | undefined => {
  const text = process.env[READY_ENV];
  delete process.env[READY_ENV];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
};

function tell(line: string): boolean {
  const fd = take();
  if (fd === undefined) return false;
  try {
    writeAll(fd, new TextEncoder().encode(`${line}\n`));
  } catch (error) {
    // whoever started us was killed meanwhile: that is no reason to end the VM
    if (!isSyscallError(error, "EPIPE")) throw error;
  } finally {
    close(fd);
  }
  return true;
}

export function tellReady(report: ReadyReport): void {
  tell(`ready ${JSON.stringify(report)}`);
}

/** @param message Becomes one line, without what it may have from a file that does something to a terminal. */
export function tellError(message: string): void {
  const line = message.replace(/\s*\p{Cc}+\s*/gu, " ");
  if (!tell(`error ${line}`)) process.stderr.write(`vmm: ${line}\n`);
}
