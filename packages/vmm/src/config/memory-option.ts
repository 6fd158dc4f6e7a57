/** The guest's RAM as `--memory` gives it: `512M`, or `size=2G,backend=memfd,share=on,hugepages=2M,prealloc=on`. */
import { VmmError } from "../vmm-error.ts";
import { hostMemory } from "./host-memory.ts";
import { parseOptionList, parseSwitch } from "./option-list.ts";
import { formatSize, parseSize } from "./size.ts";
import type { MemoryBackendConfig } from "./vm-config.ts";

/** Size of the guest's RAM where nothing is said, in bytes. */
export const DEFAULT_MEMORY = 512 * 2 ** 20;

/** The least RAM a guest can have, in bytes: what is below 1 MiB is not all RAM. */
export const MIN_MEMORY = 2 * 2 ** 20;

const PAGE = 4096;
const HUGEPAGES: Readonly<Record<string, number>> = { "2M": 2 * 2 ** 20, "1G": 2 ** 30 };
const BACKENDS: readonly string[] = ["memfd", "file", "ram"];

/** What is said of the RAM; what is not said has its default. */
export type MemoryOptions = { -readonly [K in keyof MemoryBackendConfig]?: MemoryBackendConfig[K] };

const WHAT = "--memory";
const KEYS = ["size", "backend", "share", "hugepages", "prealloc", "path", "id"];

/** @throws VmmError `config`. */
export function parseMemoryOption(text: string): MemoryOptions {
  const list = parseOptionList(text, { what: WHAT, keys: KEYS, implied: "size" });
  const options: MemoryOptions = {};
  for (const [key, value] of list) {
    const what = `${WHAT}: ${key}`;
    if (key === "size") options.size = parseSize(value, WHAT);
    else if (key === "share" || key === "prealloc") options[key] = parseSwitch(value, what);
    else if (key === "backend") options.backend = parseBackend(value);
    else if (key === "hugepages") options.hugepages = parseHugepages(value);
    else options[key as "path" | "id"] = value;
  }
  return options;
}

function parseBackend(value: string): MemoryBackendConfig["backend"] {
  if (BACKENDS.includes(value) || value === "epc") return value as MemoryBackendConfig["backend"];
  throw new VmmError("config", `${WHAT}: unknown backend "${value}"; known are: ${BACKENDS.join(", ")}`);
}

function parseHugepages(value: string): "2M" | "1G" {
  if (value in HUGEPAGES) return value as "2M" | "1G";
  throw new VmmError("config", `${WHAT}: hugepages is 2M or 1G, not "${value}"`);
}

/**
 * Fills in the defaults and checks that the whole makes sense on this host.
 *
 * @throws VmmError `config`.
 */
export function memoryBackendConfig(options: MemoryOptions): MemoryBackendConfig {
  const backend = options.backend ?? "memfd";
  const config: MemoryBackendConfig = {
    id: options.id ?? "ram0",
    backend,
    size: options.size ?? DEFAULT_MEMORY,
    share: options.share ?? backend !== "ram",
    prealloc: options.prealloc ?? false,
    ...(options.hugepages && { hugepages: options.hugepages }),
    ...(options.path && { path: options.path }),
  };
  checkBackend(config);
  checkSize(config);
  return config;
}

function checkBackend({ id, backend, path, hugepages }: MemoryBackendConfig): void {
  const fail = (problem: string) => new VmmError("config", `${WHAT}: ${problem}`);
  if (backend === "epc") throw fail(EPC_REFUSAL);
  if (backend === "file" && !path) throw fail("backend=file needs path=FILE, or a folder");
  if (backend !== "file" && path) throw fail(`path is for backend=file, not for backend=${backend}`);
  if (backend === "file" && hugepages) {
    throw fail("hugepages is for backend=memfd and ram; for a file, give a path on a hugetlbfs");
  }
  if (!/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/.test(id)) {
    throw fail(`"${id}" cannot be an id: use letters, digits, "_", "." and "-", a letter first, at most 64`);
  }
}

function checkSize({ size, hugepages, backend }: MemoryBackendConfig): void {
  const fail = (problem: string) => new VmmError("config", `${WHAT}: ${problem}`);
  if (size < MIN_MEMORY) {
    const hint = size >= 2 && size < 65536 ? `; did you mean ${size}M?` : "";
    throw fail(`${formatSize(size)} is too small, the least is ${formatSize(MIN_MEMORY)}${hint}`);
  }
  const page = hugepages ? (HUGEPAGES[hugepages] as number) : PAGE;
  if (size % page !== 0) {
    throw fail(`a size of ${formatSize(size)} is not a multiple of the page size, ${formatSize(page)}`);
  }
  if (backend === "file") return;
  const host = hostMemory();
  if (host && size > host.total) {
    throw fail(`${formatSize(size)} is larger than this host's RAM (${Math.floor(host.total / 2 ** 20)}M)`);
  }
}

/** Why there is no `epc` backend. */
export const EPC_REFUSAL =
  "backend=epc is not supported: SGX enclave pages are encrypted for one process's enclave and cannot be handed to the " +
  "next VMM; use memfd";
