import { readFile } from "@vmm/libc";

/** The host's RAM in bytes, from /proc/meminfo. */
export interface HostMemory {
  readonly total: number;
  /** What could be had without swapping. */
  readonly available: number;
}

/** `undefined` where /proc is not there. */
export function hostMemory(): HostMemory | undefined {
  try {
    const text = new TextDecoder().decode(readFile("/proc/meminfo"));
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) * 1024;
    const memory = { total: field("MemTotal"), available: field("MemAvailable") };
    return Number.isNaN(memory.total) || Number.isNaN(memory.available) ? undefined : memory;
  } catch {
    return undefined;
  }
}
