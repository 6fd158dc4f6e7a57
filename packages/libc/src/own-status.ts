/** What the kernel says of this process in /proc/self/status (proc_pid_status(5)). */
import { readFile } from "./path.ts";

/** @returns By the name of a line, the first word that it has; `undefined` where there is no such line. All of one moment. */
export function ownStatus(): (name: string) => string | undefined {
  const status = new TextDecoder().decode(readFile("/proc/self/status"));
  return (name) => new RegExp(`^${name}:\\s*(\\w+)`, "m").exec(status)?.[1];
}
