/**
 * The folder of a running VM is claimed by a lock on its file `lock`, which the VM process holds for as long as it lives:
 * inherited from the command that started it, and handed on from VMM to VMM by a live update. Where nobody holds the lock
 * the VM is dead, and its folder may be taken over.
 */
import {
  close,
  flock,
  fstat,
  isSyscallError,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  mkdir,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_RDWR,
  open,
  rmdir,
  unlinkAt,
} from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";
import { openOwnFolder } from "./own-folder.ts";
import type { VmPaths } from "./runtime-folder.ts";

/** Names the fd of the lock to the VM process that is started. */
export const LOCK_FD_ENV = "VMM_LOCK_FD";

/** A folder that is ours until the fd (and every duplicate of it) is closed. */
export interface FolderClaim {
  readonly paths: VmPaths;
  /** The locked file, CLOEXEC. */
  readonly lockFd: number;
  /** Gives up: removes the folder and the lock. */
  release(): void;
}

/** `vmm ls` looks at a lock by taking it shared for an instant: a claim that meets it tries again. */
const ATTEMPTS = 20;
const PAUSE_MS = 2;

/**
 * Makes the folder of a new VM, or takes over that of a dead one with nothing left in it.
 *
 * @throws VmmError `config` where the name is in use.
 */
export function claimFolder(paths: VmPaths, name: string): FolderClaim {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    mkdir(paths.folder, 0o700);
    checkFolder(paths.folder);
    const lockFd = tryLock(paths.lock, O_CREAT, LOCK_EX);
    if (lockFd !== undefined) {
      clear(paths, [paths.qmp, paths.console, paths.config, paths.log]);
      return { paths, lockFd, release: () => release(paths, lockFd) };
    }
    Bun.sleepSync(PAUSE_MS);
  }
  throw new VmmError("config", `the name "${name}" is in use: a VM of that name runs (see vmm ls)`);
}

/** Whether a VM process holds the folder. */
export function isClaimed(paths: VmPaths): boolean {
  let fd: number;
  try {
    fd = open(paths.lock, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  } catch (error) {
    if (isSyscallError(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
  try {
    return !flock(fd, LOCK_SH | LOCK_NB);
  } finally {
    close(fd);
  }
}

/**
 * Removes the folder of a VM; the caller holds its lock, or the VM is dead. What it does not know it leaves, and what is
 * not this user's folder.
 */
export function removeFolder(paths: VmPaths): void {
  if (!clear(paths, [paths.qmp, paths.console, paths.config, paths.log, paths.lock])) return;
  try {
    rmdir(paths.folder);
  } catch (error) {
    if (!isSyscallError(error, "ENOTEMPTY")) throw error;
  }
}

/** Removes files from the folder itself, never from where a link in its place leads. False where it is not ours. */
function clear({ folder }: VmPaths, files: readonly string[]): boolean {
  const own = openOwnFolder(folder);
  if (typeof own === "string") return false;
  try {
    for (const path of files) unlinkAt(own.fd, path.slice(folder.length + 1));
    return true;
  } finally {
    close(own.fd);
  }
}

/** One that is gone by now is to be made again. @throws VmmError `config` where another's is in the way, or a link. */
function checkFolder(path: string): void {
  const folder = openOwnFolder(path);
  if (folder === "foreign")
    throw new VmmError("config", `${path} is not a folder of yours: remove it, or give the VM another name`);
  if (folder !== "none") close(folder.fd);
}

function release(paths: VmPaths, lockFd: number): void {
  removeFolder(paths);
  close(lockFd);
}

/** The fd of the lock, or `undefined` where another has it or the file was removed while we waited for it. */
function tryLock(path: string, flags: number, operation: number): number | undefined {
  let fd: number;
  try {
    fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0o600);
  } catch (error) {
    // The folder of a VM that ends at this moment.
    if (isSyscallError(error, "ENOENT")) return undefined;
    throw error;
  }
  if (flock(fd, operation | LOCK_NB) && isStillAt(fd, path)) return fd;
  close(fd);
  return undefined;
}

function isStillAt(fd: number, path: string): boolean {
  try {
    const now = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    try {
      return fstat(now).ino === fstat(fd).ino;
    } finally {
      close(now);
    }
  } catch {
    return false;
  }
}
