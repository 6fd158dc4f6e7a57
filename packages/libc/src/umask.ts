/** The permissions that files made by this process do not get. All threads share them. */
import { libc } from "./libc.ts";
import { readFile } from "./path.ts";

/** Looks at it. The system call of that name can only set it, and a file made by another thread meanwhile would differ. */
export function getUmask(): number {
  const status = new TextDecoder().decode(readFile("/proc/self/status"));
  const [, octal = "0"] = /^Umask:\s*([0-7]+)$/m.exec(status) ?? [];
  return Number.parseInt(octal, 8);
}

/** Sets it. Returns what it was. */
export const umask = (mask: number): number => libc.umask(mask);
