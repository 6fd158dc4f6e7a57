/**
 * The VM's listening sockets. They are made before the guest runs, so that a client can connect as soon as `vmm start`
 * returns, and they live on across a live update: who connects in the midst of it waits, and is not refused.
 */
import type { FdTable } from "@vmm/cpr";
import {
  bindUnix,
  close,
  listen,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  socketUnix,
  unlink,
} from "@vmm/libc";

/** Clients that may wait to be accepted. */
const BACKLOG = 64;

/** The name of the QMP socket in the VM's folder, and of its fd in the CPR fd table. */
export const QMP_SOCKET = "qmp.sock";

/** The listening socket at `path`, found under `name` after a live update, or made. */
export function listeningSocket(path: string, name: string, fds: FdTable): number {
  const found = fds.findFd(name, 0);
  if (found !== undefined) return found;
  const fd = socketUnix(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
  try {
    unlink(path);
    bindUnix(fd, path);
    listen(fd, BACKLOG);
  } catch (error) {
    close(fd);
    throw error;
  }
  fds.saveFd(name, 0, fd);
  return fd;
}
