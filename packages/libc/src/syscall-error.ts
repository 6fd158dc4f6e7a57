import { errnoName, errnoText } from "./errno.ts";

/**
 * A system call that failed: which call, on what, and why.
 *
 * The message reads `open /dev/kvm: EACCES (permission denied)`.
 */
export class SyscallError extends Error {
  /** The call's name, such as `open` or `ioctl`. */
  readonly call: string;
  /** The errno's number. */
  readonly errno: number;
  /** The errno's name, such as `ENOENT`. */
  readonly code: string;
  /** What the call was about: a path, `fd 7`, or a request's name and fd. */
  readonly object: string;

  constructor(call: string, errno: number, object: string) {
    super(`${call} ${object}: ${errnoName(errno)} (${errnoText(errno)})`);
    this.name = "SyscallError";
    this.call = call;
    this.errno = errno;
    this.code = errnoName(errno);
    this.object = object;
  }
}

/** Whether a system call failed in one of these ways. */
export function isSyscallError(error: unknown, ...codes: readonly string[]): error is SyscallError {
  return error instanceof SyscallError && codes.includes(error.code);
}
