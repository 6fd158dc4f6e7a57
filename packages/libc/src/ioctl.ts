import { errno } from "./errno.ts";
import type { IoctlRequest } from "./ioctl-number.ts";
import type { Backing } from "./layout.ts";
import { libc, type Memory } from "./libc.ts";
import { SyscallError } from "./syscall-error.ts";

/**
 * ioctl(2).
 *
 * @param argument A number or address, raw bytes, or a structure in place.
 * @returns The call's result, 0 or more.
 * @throws SyscallError whose object reads `KVM_CREATE_VM on fd 7`. EINTR and EAGAIN are thrown like the rest; a loop
 *   that meets them often calls `ioctlRaw`.
 */
export function ioctl(fd: number, request: IoctlRequest, argument: Memory | Backing = 0): number {
  const memory =
    argument !== null && typeof argument === "object" && "$view" in argument ? argument.$view : argument;
  const result = libc.ioctl(fd, request.number, memory);
  if (result === -1) throw new SyscallError("ioctl", errno(), `${request.name} on fd ${fd}`);
  return result;
}

/**
 * ioctl(2) without checks or allocation, for loops such as KVM_RUN's.
 *
 * @param argument A number or an address.
 * @returns -1 on failure: look at `errno()` before any other call.
 */
export const ioctlRaw: (fd: number, requestNumber: number, argument: number) => number = libc.ioctl;
