/**
 * Plain anonymous RAM. Shared, it is a memfd, as in QEMU since 10.0: anonymous shared memory that another process could
 * not open would be of no use to a live update.
 */
import { MAP_HUGE_1GB, MAP_HUGE_2MB, MAP_HUGETLB } from "@vmm/libc";
import type { MemoryBackendConfig } from "../config/vm-config.ts";
import { mapBackend } from "./map-backend.ts";
import { createMemfdBackend } from "./memfd-backend.ts";
import type { BackendFds, MemoryBackend } from "./memory-backend.ts";

const HUGE_FLAGS = { "2M": MAP_HUGE_2MB, "1G": MAP_HUGE_1GB } as const;

export function createRamBackend(config: MemoryBackendConfig, fds: BackendFds): MemoryBackend {
  if (config.share) return createMemfdBackend(config, fds);
  const hugetlbFlags = config.hugepages ? MAP_HUGETLB | HUGE_FLAGS[config.hugepages] : 0;
  return mapBackend({ config, found: false, hugetlbFlags });
}
