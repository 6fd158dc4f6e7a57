/** RAM in a memfd, the default: anonymous, shareable by its fd, and sealed so that nobody can cut it short. */
import {
  addSeals,
  close,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  ftruncate,
  MAP_HUGE_1GB,
  MAP_HUGE_2MB,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_HUGETLB,
  memfdCreate,
  SyscallError,
} from "@vmm/libc";
import type { MemoryBackendConfig } from "../config/vm-config.ts";
import { backendError, fdBackend } from "./map-backend.ts";
import type { BackendFds, MemoryBackend } from "./memory-backend.ts";

/** The page size in a flag word: log2 of it from bit 26 on, for memfd_create as for mmap. */
const HUGE_FLAGS = { "2M": MAP_HUGE_2MB, "1G": MAP_HUGE_1GB } as const;

/** A sealed memfd of the backend's size. On failure no fd stays open. */
export function makeMemfd(config: MemoryBackendConfig): number {
  const huge = config.hugepages ? MFD_HUGETLB | HUGE_FLAGS[config.hugepages] : 0;
  let fd: number;
  try {
    fd = memfdCreate(config.id, MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);
  } catch (error) {
    // The kernel has no pool for pages of that size.
    if (huge && error instanceof SyscallError && error.code !== "EMFILE" && error.code !== "ENFILE") {
      throw backendError(config, `this host has no huge pages of ${config.hugepages}`, error);
    }
    throw error;
  }
  try {
    ftruncate(fd, config.size);
    addSeals(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return fd;
  } catch (error) {
    close(fd);
    throw backendError(config, (error as Error).message, error);
  }
}

export function createMemfdBackend(config: MemoryBackendConfig, fds: BackendFds): MemoryBackend {
  return fdBackend(config, fds, () => makeMemfd(config));
}
