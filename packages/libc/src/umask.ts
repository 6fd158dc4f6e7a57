/** The permissions that files made by this process do not get. All threads share them. */
import { libc } from "./libc.ts";
import { ownStatus } from "./own-status.ts";

/** Looks at it. The system call of that name can only set it, and a file made by another thread meanwhile would differ. */
export function getUmask(): number {
  return Number.parseInt(ownStatus()("Umask") ?? "0", 8);
}

/** Sets it. Returns what it was. */
export const umask = (mask: number): number => libc.umask(mask);
