import { EPC_REFUSAL } from "../config/memory-option.ts";
import type { MemoryBackendConfig } from "../config/vm-config.ts";
import { VmmError } from "../vmm-error.ts";
import { createFileBackend } from "./file-backend.ts";
import { createMemfdBackend } from "./memfd-backend.ts";
import type { BackendFds, MemoryBackend } from "./memory-backend.ts";
import { createRamBackend } from "./ram-backend.ts";

/**
 * Makes the RAM that the configuration describes. A shareable backend keeps its fd in the table under its name: it is
 * found there when a new VMM process makes the backend again, and then holds what the guest left in it.
 *
 * @throws VmmError `memory-backend`; nothing stays open or mapped then.
 */
export function createMemoryBackend(config: MemoryBackendConfig, fds: BackendFds): MemoryBackend {
  switch (config.backend) {
    case "memfd":
      return createMemfdBackend(config, fds);
    case "ram":
      return createRamBackend(config, fds);
    case "file":
      return createFileBackend(config, fds);
    case "epc":
      throw new VmmError("memory-backend", EPC_REFUSAL);
  }
}
