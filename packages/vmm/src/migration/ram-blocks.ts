/** The machine's RAM as migration sees it. */
import type { RamBlock } from "@vmm/cpr";
import { fdPath } from "@vmm/libc";
import type { Machine } from "../machine/machine.ts";
import type { MemoryBackend } from "../memory/index.ts";

/** What /proc adds to the path of a file without a name: a memfd, or what O_TMPFILE made. */
const NAMELESS = / \(deleted\)$/;

/** The path of the file that holds the RAM, where it has one by which another process can open it. */
function pathOf({ fd, share }: MemoryBackend): string | undefined {
  if (fd === undefined || !share) return undefined;
  const path = fdPath(fd);
  return NAMELESS.test(path) ? undefined : path;
}

/** The memory backend comes first; what follows is memory that no backend describes. */
export function ramBlocksOf(machine: Machine): RamBlock[] {
  return machine.memory.backends.map((backend, index) => {
    const path = pathOf(backend);
    return {
      name: backend.id,
      size: backend.size,
      shared: backend.share && backend.fd !== undefined,
      origin: index === 0 ? "backend" : "aux",
      address: backend.address,
      ...(backend.fd !== undefined && { fd: backend.fd }),
      ...(path !== undefined && { path }),
      ...(backend.earlier && { earlier: backend.earlier }),
    };
  });
}
