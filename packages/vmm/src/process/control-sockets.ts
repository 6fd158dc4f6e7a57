/**
 * The VM's QMP socket. It listens before the guest runs, so that a client can connect as soon as `vmm start` returns, and
 * it lives on across a live update: who connects in the midst of it waits, and is not refused.
 */
import type { FdTable } from "@vmm/cpr";
import { listen } from "@vmm/libc";
import { BACKLOG, listenUnix } from "../reactor/unix-listener.ts";

/** The name of the QMP socket's fd in the CPR fd table. */
const QMP_LISTENER = "qmp-listener";

/** The listening socket at `path`: found after a live update, else made. */
export function qmpListener(path: string, fds: FdTable): number {
  const found = fds.findFd(QMP_LISTENER, 0);
  if (found !== undefined) return found;
  const fd = listenUnix(path);
  fds.saveFd(QMP_LISTENER, 0, fd);
  return fd;
}

/**
 * Makes the socket this process's own: who connects to one that was inherited is told the pid of the process that called
 * `listen` last (SO_PEERCRED).
 */
export function claimQmpListener(fds: FdTable): void {
  const fd = fds.findFd(QMP_LISTENER);
  if (fd !== undefined) listen(fd, BACKLOG);
}
