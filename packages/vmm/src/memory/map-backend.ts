/** Mapping, preallocation and the checks that all backends have in common. */
import {
  close,
  fstat,
  MADV_DONTFORK,
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  madvise,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
  SyscallError,
} from "@vmm/libc";
import { hostMemory } from "../config/host-memory.ts";
import { formatSize } from "../config/size.ts";
import type { MemoryBackendConfig } from "../config/vm-config.ts";
import { VmmError } from "../vmm-error.ts";
import type { BackendFds, MemoryBackend } from "./memory-backend.ts";

/** An error of a backend, with what the user can do. */
export function backendError(config: MemoryBackendConfig, problem: string, cause?: unknown): VmmError {
  const what = `memory backend "${config.id}" (${config.backend}, ${formatSize(config.size)})`;
  return new VmmError("memory-backend", `${what}: ${problem}`, { cause });
}

/** Maps the backend's RAM: of `fd`, or anonymous and private without one. */
function map(config: MemoryBackendConfig, fd: number | undefined, hugetlbFlags: number): number {
  const sharing = fd !== undefined && config.share ? MAP_SHARED : MAP_PRIVATE;
  const anonymous = fd === undefined ? MAP_ANONYMOUS | hugetlbFlags : 0;
  // Huge pages are reserved here, so that an empty pool is an error now and not a SIGBUS in the guest's first access.
  const reserve = config.hugepages ? 0 : MAP_NORESERVE;
  const flags = sharing | anonymous | reserve;
  const place = fd === undefined ? {} : { fd };
  return mmap({ length: config.size, prot: PROT_READ | PROT_WRITE, flags, ...place });
}

/** What a failed mapping or preallocation means for the user. */
function explain(config: MemoryBackendConfig, error: unknown): VmmError {
  if (!(error instanceof SyscallError)) throw error;
  const { hugepages } = config;
  if (hugepages && (error.code === "ENOMEM" || error.code === "EFAULT")) {
    const kb = hugepages === "2M" ? 2048 : 1048576;
    const pages = config.size / (kb * 1024);
    const file = `/sys/kernel/mm/hugepages/hugepages-${kb}kB/nr_hugepages`;
    const help = `${pages} are needed: echo ${pages} > ${file} (more where others use some)`;
    return backendError(config, `not enough free huge pages of ${hugepages}; ${help}`, error);
  }
  if (error.code === "ENOMEM") return backendError(config, "the host has not enough memory", error);
  if (error.code === "ENOSPC" || (config.backend === "file" && error.code === "EFAULT"))
    return backendError(config, "its file system has not enough room", error);
  return backendError(config, error.message, error);
}

/** Touches every page now. Refuses what cannot succeed, rather than let the kernel kill something for it. */
function preallocate(config: MemoryBackendConfig, address: number): void {
  const available = hostMemory()?.available;
  if (!config.hugepages && config.backend !== "file" && available !== undefined && config.size > available) {
    const free = formatSize(Math.floor(available / 2 ** 20) * 2 ** 20);
    throw backendError(
      config,
      `prealloc=on needs it all now, and only ${free} of the host's RAM is available`,
    );
  }
  madvise(address, config.size, MADV_POPULATE_WRITE);
}

export interface Mapped {
  readonly config: MemoryBackendConfig;
  /** The backend closes it. */
  readonly fd?: number;
  /** Whether the fd came from an earlier VMM: its pages are there already. */
  readonly found: boolean;
  /** MAP_HUGETLB and the page size, for anonymous memory. */
  readonly hugetlbFlags?: number;
}

/**
 * The backend over `fd`, or over anonymous memory without one. On failure nothing stays mapped; the fd is the caller's.
 *
 * @throws VmmError `memory-backend`.
 */
export function mapBackend({ config, fd, found, hugetlbFlags = 0 }: Mapped): MemoryBackend {
  let address = 0;
  try {
    address = map(config, fd, hugetlbFlags);
    // A child has no business with guest RAM, and forking its page tables would cost time that grows with it.
    madvise(address, config.size, MADV_DONTFORK);
    if (config.prealloc && !found) preallocate(config, address);
  } catch (error) {
    if (address !== 0) munmap(address, config.size);
    throw error instanceof VmmError ? error : explain(config, error);
  }
  return {
    id: config.id,
    size: config.size,
    share: fd !== undefined && config.share,
    address,
    ...(fd !== undefined && { fd }),
    close() {
      munmap(address, config.size);
      if (fd !== undefined) close(fd);
    },
  };
}

/**
 * Maps the RAM in an fd and keeps the fd in the table under the backend's name: found there, or made by `make` and saved.
 * On failure an fd that was made is closed and forgotten.
 */
export function fdBackend(config: MemoryBackendConfig, fds: BackendFds, make: () => number): MemoryBackend {
  const kept = config.share ? fds.findFd(config.id, 0) : undefined;
  if (kept !== undefined) {
    checkFound(config, kept);
    return forgetting(mapBackend({ config, fd: kept, found: true }), fds);
  }
  const fd = make();
  let saved = false;
  try {
    if (config.share) fds.saveFd(config.id, 0, fd);
    saved = config.share;
    const backend = mapBackend({ config, fd, found: false });
    return saved ? forgetting(backend, fds) : backend;
  } catch (error) {
    if (saved) fds.deleteFd(config.id, 0);
    close(fd);
    throw error;
  }
}

function forgetting(backend: MemoryBackend, fds: BackendFds): MemoryBackend {
  return {
    ...backend,
    close() {
      fds.deleteFd(backend.id, 0);
      backend.close();
    },
  };
}

/**
 * Looks whether the RAM of a guest that is taken over is there: made anew, it would be empty.
 *
 * @throws VmmError `memory-backend`.
 */
export function checkBrought(config: MemoryBackendConfig, fds: BackendFds): void {
  if (!config.share)
    throw backendError(config, "with share=off it would be made anew, without what the guest has in it");
  const fd = fds.findFd(config.id, 0);
  if (fd === undefined) throw backendError(config, "the live update brought no file for it");
  checkFound(config, fd);
}

/** RAM that an earlier VMM left must be what the configuration says, or the guest's memory would be another. */
function checkFound(config: MemoryBackendConfig, fd: number): void {
  const { kind, size } = fstat(fd);
  if (kind === "file" && size === config.size) return;
  const was = kind === "file" ? `of ${formatSize(size)}` : `that is a ${kind}`;
  throw backendError(config, `the live update brought a file ${was} for it`);
}
