import { errno } from "./errno.ts";
import { SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";

/** The result of a call, or a SyscallError where it is -1. */
export function check(call: string, result: number, object: string): number {
  if (result === -1) throw new SyscallError(call, errno(), object);
  return result;
}

/** As `check`, for calls on an fd: the object's text is only built when it is needed. */
export function checkFd(call: string, result: number, fd: number): number {
  if (result === -1) throw new SyscallError(call, errno(), `fd ${fd}`);
  return result;
}

/** After a -1 on a non-blocking fd: true to try again (EINTR), false for EAGAIN; anything else is thrown. */
export function interrupted(call: string, fd: number): boolean {
  const error = errno();
  if (error === E.EINTR) return true;
  if (error === E.EAGAIN) return false;
  throw new SyscallError(call, error, `fd ${fd}`);
}

/** The result of a pthread function, which returns the error number in place of -1 and errno. */
export function checkThread(call: string, error: number, object: string): void {
  if (error !== 0) throw new SyscallError(call, error, object);
}
