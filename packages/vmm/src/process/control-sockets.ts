/**
 * The VM's QMP socket. It listens before the guest runs, so that a client can connect as soon as `vmm start` returns, and
 * it lives on across a live update: who connects in the midst of it waits, and is not refused.
 */
import type { FdTable } from "@vmm/cpr";
import { close, isSyscallError, listen, SHUT_RDWR, shutdown } from "@vmm/libc";
import { BACKLOG, listenUnix } from "../reactor/unix-listener.ts";

/** The name of the QMP socket's fd in the CPR fd table. */
const QMP_LISTENER = "qmp-listener";
/** The name of those of the QMP clients. */
const QMP_CLIENT = "qmp-client";

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

/** Leaves the connections of clients to the next program, which is to end them. The result undoes it. */
export function leaveClients(clients: readonly number[], fds: FdTable): () => void {
  clients.forEach((fd, id) => void fds.resaveFd(QMP_CLIENT, id, fd));
  return () => clients.forEach((_, id) => void fds.deleteFd(QMP_CLIENT, id));
}

/** Ends the connections that the program before has left: a client is not to wait for an answer that never comes. */
export function hangUpOnClients(fds: FdTable): void {
  fds.cprWalkFd(({ name, id, fd }) => {
    if (name !== QMP_CLIENT) return;
    fds.deleteFd(name, id);
    try {
      shutdown(fd, SHUT_RDWR);
    } catch (error) {
      // the client was faster
      if (!isSyscallError(error, "ENOTCONN")) throw error;
    } finally {
      close(fd);
    }
  });
}
