/** One second of the guest's life, as `linux-guest-init` prints it. */
export interface GuestTick {
  /** Counts from 1, one by one. */
  count: number;
  /** Seconds since the guest's boot, by its monotonic clock. */
  uptime: number;
  /** The first 16 hexadecimal digits of the SHA-256 of the secret, computed anew from RAM for this tick. */
  secret: string;
  /** Seconds since 1970, by the guest's wall clock. */
  date: number;
}

/** What the guest says of itself before the first tick. */
export interface GuestFacts {
  release: string;
  cpus: number;
  /** MemTotal, in bytes. */
  memory: number;
  /** As in {@link GuestTick}, when the secret was made. */
  secret: string;
}

/** All ticks on a console, in order. */
export function parseTicks(console: string): GuestTick[] {
  return [...console.matchAll(/tick (\d+) (\d+\.\d+) ([0-9a-f]{16}) (\d+)\r?\n/g)].map((match) => ({
    count: Number(match[1]),
    uptime: Number(match[2]),
    secret: match[3] as string,
    date: Number(match[4]),
  }));
}

/** The guest's facts, once it has printed them all. */
export function parseGuestFacts(console: string): GuestFacts | undefined {
  const up = /guest up: linux (\S+) cpus (\d+) memory (\d+) kB\r?\n/.exec(console);
  const secret = /guest secret: ([0-9a-f]{16})\r?\n/.exec(console)?.[1];
  if (!up || !secret) return undefined;
  return { release: up[1] as string, cpus: Number(up[2]), memory: Number(up[3]) * 1024, secret };
}

/** Whether the guest has started anew, which it does without a word where it was reset. */
export const wasReset = (console: string): boolean => console.split("guest shell").length > 2;
