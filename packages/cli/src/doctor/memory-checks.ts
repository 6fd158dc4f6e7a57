/** RAM, huge pages, and the limits on fds and locked memory. */
import { getrlimit, lockedMemoryLimit } from "@vmm/libc";
import { formatSize, hostMemory } from "@vmm/vmm/config/index.ts";
import type { Check } from "./check.ts";
import { namesIn, readText } from "./host-files.ts";

export function memoryChecks(): Check[] {
  return [freeMemory(), hugepages(), fdLimit(), lockedMemory()];
}

const mebibytes = (bytes: number) => `${Math.floor(bytes / 2 ** 20)}M`;

function freeMemory(): Check {
  const memory = hostMemory();
  if (!memory) return { name: "RAM", state: "warn", detail: "/proc/meminfo cannot be read" };
  const detail = `${mebibytes(memory.available)} available of ${mebibytes(memory.total)}`;
  if (memory.available >= 2 ** 30) return { name: "RAM", state: "ok", detail };
  return {
    name: "RAM",
    state: "warn",
    detail,
    help: "a VM has 512M by default: end something, or give it less",
  };
}

function hugepages(): Check {
  const pools = namesIn("/sys/kernel/mm/hugepages").map((pool) => {
    const number = (file: string) => Number(readText(`/sys/kernel/mm/hugepages/${pool}/${file}`) ?? 0);
    const size = Number(/(\d+)kB/.exec(pool)?.[1] ?? 0) * 1024;
    return { size, free: number("free_hugepages"), total: number("nr_hugepages") };
  });
  const filled = pools.filter(({ total }) => total > 0);
  if (filled.length > 0) {
    const text = filled.map(({ size, free, total }) => `${free} of ${total} free of ${formatSize(size)}`);
    return { name: "huge pages", state: "ok", detail: text.join(", ") };
  }
  return {
    name: "huge pages",
    state: "warn",
    detail: pools.length > 0 ? "the pools are empty" : "this kernel has none",
    help: "only for hugepages=2M: echo 256 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages gives 512M",
  };
}

const LEAST_FDS = 1024;

function fdLimit(): Check {
  const { soft, hard } = getrlimit("NOFILE");
  const detail = `${soft} (could be raised to ${hard})`;
  if (soft >= LEAST_FDS) return { name: "open fds", state: "ok", detail };
  return { name: "open fds", state: "warn", detail, help: `ulimit -n ${Math.min(hard, 4096)}` };
}

function lockedMemory(): Check {
  const limit = lockedMemoryLimit();
  if (limit === Number.POSITIVE_INFINITY) {
    return { name: "locked memory", state: "ok", detail: "no limit" };
  }
  return {
    name: "locked memory",
    state: "warn",
    detail: `limited to ${formatSize(limit)}`,
    help: "device passthrough locks all of the guest's RAM: ulimit -l unlimited, or memlock in limits.conf",
  };
}
