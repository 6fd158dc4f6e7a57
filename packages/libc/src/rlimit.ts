import { check } from "./check.ts";
import { struct, u64 } from "./layout.ts";
import { libc } from "./libc.ts";
import { RLIMIT } from "./uapi/resource.ts";

export { RLIMIT };

/** A resource, as in `RLIMIT_MEMLOCK` without the prefix. */
export type RlimitName = keyof typeof RLIMIT;

/** Limits in the resource's unit (bytes for MEMLOCK, a count for NOFILE). No limit is `Infinity`. */
export interface Rlimit {
  readonly soft: number;
  /** What the soft limit may be raised to. */
  readonly hard: number;
}

/** `struct rlimit` (`linux/resource.h`). */
export const RlimitStruct = struct("rlimit", { rlim_cur: u64, rlim_max: u64 });

const RLIM_INFINITY = 2n ** 64n - 1n;

const toNumber = (limit: bigint) => (limit === RLIM_INFINITY ? Number.POSITIVE_INFINITY : Number(limit));
const toBigint = (limit: number) => (limit === Number.POSITIVE_INFINITY ? RLIM_INFINITY : BigInt(limit));

export function getrlimit(name: RlimitName): Rlimit {
  const limit = RlimitStruct.alloc();
  check("getrlimit", libc.getrlimit(RLIMIT[name], limit.$view), name);
  return { soft: toNumber(limit.rlim_cur), hard: toNumber(limit.rlim_max) };
}

export function setrlimit(name: RlimitName, { soft, hard }: Rlimit): void {
  const limit = RlimitStruct.of({ rlim_cur: toBigint(soft), rlim_max: toBigint(hard) });
  check("setrlimit", libc.setrlimit(RLIMIT[name], limit.$view), `${name} to ${soft}:${hard}`);
}
