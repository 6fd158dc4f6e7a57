/** Many fds at once (close_range(2), Linux 5.11 for the flag). Numbers are those of `linux/close_range.h`. */
import { check } from "./check.ts";
import { libc } from "./libc.ts";

const SYS_close_range = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const LAST = 0xffffffff;

/** Sets FD_CLOEXEC on every open fd from `first` on, in one call: none of them reaches the next program. */
export function setCloexecFrom(first: number): void {
  const result = libc.syscall(SYS_close_range, first, LAST, CLOSE_RANGE_CLOEXEC, 0, 0, 0);
  check("close_range", result, `fds from ${first} on`);
}
