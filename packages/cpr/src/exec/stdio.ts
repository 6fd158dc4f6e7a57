/** stdin, stdout and stderr are shared with the next program and with whoever started us. */
import { isNonblocking, isSyscallError, setNonblocking } from "@vmm/libc";
import type { UndoLog } from "../undo-log.ts";

/**
 * Makes stdio blocking again: the runtime sets O_NONBLOCK on what it writes to, that outlives an exec, and programs that
 * do not expect it lose output.
 */
export function resetStdio(undo: UndoLog): void {
  for (const fd of [0, 1, 2]) {
    try {
      if (!isNonblocking(fd)) continue;
      setNonblocking(fd, false);
    } catch (error) {
      if (isSyscallError(error, "EBADF")) continue;
      throw error;
    }
    undo.push(`O_NONBLOCK off on fd ${fd}`, () => setNonblocking(fd, true));
  }
}
