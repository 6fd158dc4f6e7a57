/** Anonymous files in memory (memfd_create(2)) and their seals. */
import { cString } from "./c-string.ts";
import { check, checkFd } from "./check.ts";
import { libc } from "./libc.ts";
import { F_ADD_SEALS, F_GET_SEALS } from "./uapi/fcntl.ts";

/**
 * A new memfd of size 0.
 *
 * @param name Shown in /proc as `/memfd:name`; at most 249 bytes.
 */
export function memfdCreate(name: string, flags: number): number {
  return check("memfd_create", libc.memfd_create(cString("memfd_create", name), flags), name);
}

/** Adds seals (F_SEAL_*) to a memfd made with MFD_ALLOW_SEALING. Seals cannot be taken off. */
export function addSeals(fd: number, seals: number): void {
  checkFd("fcntl F_ADD_SEALS", libc.fcntl(fd, F_ADD_SEALS, seals), fd);
}

export function getSeals(fd: number): number {
  return checkFd("fcntl F_GET_SEALS", libc.fcntl(fd, F_GET_SEALS, 0), fd);
}
