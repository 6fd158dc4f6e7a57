/** What is left of an update once the guest runs, and how it goes. */
import { close, isSyscallError, killIfThere, SIGKILL, WNOHANG, waitpid } from "@vmm/libc";
import type { CommitWord } from "../commit-word.ts";
import { CPR_FD, CPR_PREFIX, type CprState } from "../cpr-state.ts";
import type { FdTable } from "../fd-table.ts";
import { forgetReplacedFile } from "../main-channel.ts";

/**
 * ms for a child to end by itself before it is killed. Nothing is lost with one that is: the guest runs, and the next update
 * waits for its end.
 */
const PATIENCE_MS = 1000;
const LOOK_EVERY_MS = 5;

/** True once the child has ended and was reaped, or is not a child of ours. */
function reaped(pid: number): boolean {
  try {
    return waitpid(pid, WNOHANG) !== undefined;
  } catch (error) {
    if (isSyscallError(error, "ECHILD")) return true;
    throw error;
  }
}

/** Resolves when the child is gone; one that does not end is killed. */
async function reap(pid: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  let killed = false;
  while (!reaped(pid)) {
    if (!killed && performance.now() > deadline) {
      killIfThere(pid, SIGKILL);
      killed = true;
    }
    await Bun.sleep(LOOK_EVERY_MS);
  }
}

/**
 * Closes the fds that only the update needed and takes them off the table, ends the teardown helper, and reaps it and
 * the keeper. A file that the state has replaced goes, too.
 *
 * @param word The commit word where it is mapped.
 */
export async function releaseUpdate(
  { children, main }: CprState,
  fds: FdTable,
  word: CommitWord | undefined,
): Promise<void> {
  forgetReplacedFile(main);
  if (children.teardownHelper !== undefined) killIfThere(children.teardownHelper, SIGKILL);
  fds.cprWalkFd(({ name, id, fd }) => {
    // a newer version may have needed more than those that this one knows
    if (!name.startsWith(CPR_PREFIX)) return;
    fds.deleteFd(name, id);
    if (name === CPR_FD.commitWord && word) word.close();
    else close(fd);
  });
  const pids = [children.teardownHelper, children.keeper].filter((pid) => pid !== undefined);
  await Promise.all(pids.map(reap));
}
