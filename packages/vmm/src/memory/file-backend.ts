/**
 * RAM in a file: on a disk, a tmpfs or a hugetlbfs. A named one is locked; in a folder it is an unnamed file that ends with
 * the VM.
 */
import {
  close,
  fstat,
  ftruncate,
  isSyscallError,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDWR,
  O_TMPFILE,
  open,
  SyscallError,
  setModified,
  unlink,
} from "@vmm/libc";
import { formatSize } from "../config/size.ts";
import type { MemoryBackendConfig } from "../config/vm-config.ts";
import { earlierContents } from "./earlier-contents.ts";
import { lockFile } from "./file-lock.ts";
import { backendError, fdBackend } from "./map-backend.ts";
import type { BackendFds, MemoryBackend } from "./memory-backend.ts";

const IN_USE = (path: string) =>
  `another VM uses ${path}: end that VM first, or give this one another file by path=`;

interface OpenedFile {
  readonly fd: number;
  /** We made it, so we take it away again where the backend cannot be made. */
  readonly created: boolean;
  /** Of a file that holds something: when that was changed last, in ns since 1970. */
  readonly modifiedNs?: bigint;
}

/** Opens the file, or makes it; in a folder, an unnamed one. */
function openBacking(config: MemoryBackendConfig, path: string): OpenedFile {
  try {
    return { fd: open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600), created: true };
  } catch (error) {
    if (isSyscallError(error, "ENOENT")) throw backendError(config, `there is no folder for ${path}`, error);
    if (!isSyscallError(error, "EEXIST", "EISDIR")) throw backendError(config, (error as Error).message);
  }
  try {
    return { fd: open(path, O_RDWR | O_CLOEXEC), created: false };
  } catch (error) {
    if (!isSyscallError(error, "EISDIR")) throw backendError(config, (error as Error).message, error);
  }
  try {
    return { fd: open(path, O_RDWR | O_TMPFILE | O_DIRECTORY | O_EXCL | O_CLOEXEC, 0o600), created: false };
  } catch (error) {
    throw backendError(config, `no unnamed file can be made in ${path}: ${(error as Error).message}`, error);
  }
}

/**
 * Gives an empty file its size, and checks that of another. A hole that the disk has no room for would end the VM by
 * SIGBUS when the guest touches it.
 *
 * @returns When the contents of a file that has some were changed last.
 */
function fitSize(config: MemoryBackendConfig, fd: number, path: string): bigint | undefined {
  const { kind, size, modifiedNs } = fstat(fd);
  if (kind !== "file") throw backendError(config, `${path} is a ${kind}, not a file`);
  if (size === 0) {
    checkRoom(config, path);
    ftruncate(fd, config.size);
    return undefined;
  }
  if (size === config.size) return modifiedNs;
  throw backendError(config, `${path} has ${formatSize(size)}: make size the same, or give another file`);
}

function checkRoom(config: MemoryBackendConfig, path: string): void {
  // Only a file backend needs it, so only a file backend pays for the import.
  const { statfsSync } = process.getBuiltinModule("node:fs");
  const { bavail, bsize } = statfsSync(path);
  if (bavail * bsize >= config.size) return;
  const free = formatSize(Math.floor((bavail * bsize) / 2 ** 20) * 2 ** 20);
  throw backendError(config, `the file system of ${path} has only ${free} free`);
}

function makeFile(config: MemoryBackendConfig, path: string): OpenedFile {
  const file = openBacking(config, path);
  let inUse = false;
  try {
    inUse = !lockFile(file.fd, config.share);
    if (inUse) throw backendError(config, IN_USE(path));
    const modifiedNs = fitSize(config, file.fd, path);
    return { ...file, ...(modifiedNs !== undefined && { modifiedNs }) };
  } catch (error) {
    // one that we made, and another VM locked before us, is its own
    if (!inUse) discard(file, path);
    close(file.fd);
    throw error instanceof SyscallError ? backendError(config, error.message, error) : error;
  }
}

function discard(file: OpenedFile, path: string): void {
  if (file.created) unlink(path);
}

/** Allocating pages is no change of what the file holds: a guest that was left in it must be found again. */
function keepTime(fd: number, modifiedNs: bigint): void {
  try {
    setModified(fd, modifiedNs);
  } catch (error) {
    // only the file's owner may do that: then the file counts as used
    if (!(error instanceof SyscallError)) throw error;
  }
}

function withEarlier(
  backend: MemoryBackend,
  config: MemoryBackendConfig,
  fd: number,
  modifiedNs: bigint,
): MemoryBackend {
  if (config.prealloc && config.share) keepTime(fd, modifiedNs);
  return { ...backend, earlier: earlierContents(config, fd, modifiedNs, backend.address) };
}

export function createFileBackend(config: MemoryBackendConfig, fds: BackendFds): MemoryBackend {
  const { path } = config;
  if (!path) throw backendError(config, "it needs a path");
  let made: OpenedFile | undefined;
  try {
    const backend = fdBackend(config, fds, () => {
      made = makeFile(config, path);
      return made.fd;
    });
    return made?.modifiedNs === undefined ? backend : withEarlier(backend, config, made.fd, made.modifiedNs);
  } catch (error) {
    if (made) discard(made, path);
    throw error;
  }
}
