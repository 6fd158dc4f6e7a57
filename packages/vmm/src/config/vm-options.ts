/**
 * What a user says of a VM, on the command line or in a file, and how it becomes a whole configuration: defaults filled
 * in, paths made absolute, everything that can be checked without a VM checked.
 */
import { access, R_OK } from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";
import { checkSocketPath } from "./chardev-option.ts";
import type { DeviceConfig } from "./device-option.ts";
import { type MemoryOptions, memoryBackendConfig } from "./memory-option.ts";
import { type BootConfig, type ChardevConfig, MAX_CPUS, type VmConfig } from "./vm-config.ts";

/** Everything may be missing: what is not said has its default. */
export interface VmOptions {
  name?: string;
  memory?: MemoryOptions;
  cpus?: number;
  accel?: string[];
  kernel?: string;
  initrd?: string;
  cmdline?: string;
  guest?: "heartbeat";
  serial?: ChardevConfig;
  auxRamShare?: boolean;
  devices?: DeviceConfig[];
  plugins?: string[];
}

const BOOT_KEYS = ["guest", "kernel", "initrd", "cmdline"] as const;

/** What `over` says, and of `base` what it doesn't. One that says what to boot replaces all that the other said of it. */
export function mergeOptions(base: VmOptions, over: VmOptions): VmOptions {
  const merged = { ...base, ...over };
  if (over.guest) for (const key of BOOT_KEYS) delete merged[key];
  if (over.kernel) delete merged.guest;
  if (over.guest) merged.guest = over.guest;
  return merged;
}

/** Without `node:path`, whose import costs 1 ms of a start. */
export function absolutePath(path: string, directory: string): string {
  return path.startsWith("/") ? path : `${directory}/${path.replace(/^(\.\/+)+/, "")}`;
}

/** Makes the paths absolute that are given relative to `directory`. */
export function resolvePaths(options: VmOptions, directory: string): VmOptions {
  const absolute = (path: string) => absolutePath(path, directory);
  const resolved = { ...options };
  if (options.kernel) resolved.kernel = absolute(options.kernel);
  if (options.initrd) resolved.initrd = absolute(options.initrd);
  if (options.memory?.path) resolved.memory = { ...options.memory, path: absolute(options.memory.path) };
  const { serial } = options;
  if (serial && "path" in serial) resolved.serial = { ...serial, path: absolute(serial.path) };
  // A package's name stays as it is; a path is one because it starts like one.
  if (options.plugins) resolved.plugins = options.plugins.map((p) => (p.startsWith(".") ? absolute(p) : p));
  return resolved;
}

/** @throws VmmError `config` for what is not a number of vCPUs. */
export function checkCpus(count: number, text = String(count)): number {
  if (Number.isInteger(count) && count >= 1 && count <= MAX_CPUS) return count;
  throw new VmmError("config", `--cpus: "${text}" is not a number of vCPUs from 1 to ${MAX_CPUS}`);
}

/** Accelerators that a configuration may name, in order of preference. */
export const ACCELERATORS: readonly string[] = ["kvm", "soft"];

/** @param text `kvm`, or several with colons between. @throws VmmError `config`. */
export function parseAccel(text: string): string[] {
  const names = text.split(":");
  for (const name of names) {
    if (ACCELERATORS.includes(name)) continue;
    throw new VmmError(
      "config",
      `--accel: unknown accelerator "${name}"; known are: ${ACCELERATORS.join(", ")}`,
    );
  }
  return names;
}

function bootConfig({ guest, kernel, initrd, cmdline }: VmOptions): BootConfig {
  const fail = (problem: string) => new VmmError("config", problem);
  if (guest && kernel) throw fail("--guest and --kernel exclude each other: the VM boots one of them");
  if (guest) {
    if (initrd || cmdline) throw fail("--initrd and --cmdline go with --kernel, not with --guest");
    return { guest };
  }
  if (!kernel) {
    throw fail("nothing to boot: give --kernel FILE, or --guest heartbeat for the built-in guest");
  }
  return { kernel, cmdline: cmdline ?? "", ...(initrd && { initrd }) };
}

function checkBootFiles(boot: BootConfig): void {
  if (!("kernel" in boot)) return;
  const { kernel, initrd } = boot;
  for (const [what, path] of [
    ["kernel", kernel] as const,
    ...(initrd ? [["initrd", initrd] as const] : []),
  ]) {
    if (access(path, R_OK)) continue;
    throw new VmmError("config", `--${what}: there is no ${what} at ${path}, or it cannot be read`);
  }
}

function checkIds(config: VmConfig): void {
  const seen = new Set<string>();
  for (const { id } of [config.memory, ...config.chardevs, ...config.devices]) {
    if (seen.has(id))
      throw new VmmError("config", `the id "${id}" is given twice: every object needs its own`);
    seen.add(id);
  }
}

type VmPlace = Pick<VmConfig, "name" | "folder">;

/**
 * The whole configuration of a VM.
 *
 * @param options With absolute paths.
 * @param place The VM's name and folder.
 * @throws VmmError `config`.
 */
export function makeConfig(options: VmOptions, place: VmPlace): VmConfig {
  const config = configOfGuest(options, place);
  checkBootFiles(config.boot);
  return config;
}

/** The same for a guest that has booted already: what it booted from is not needed until it is reset. */
export function configOfGuest(options: VmOptions, place: VmPlace): VmConfig {
  const serial = options.serial ?? { id: "serial0", backend: "console" };
  if (serial.backend === "unix") checkSocketPath(serial.path);
  const config: VmConfig = {
    ...place,
    memory: memoryBackendConfig(options.memory ?? {}),
    cpus: checkCpus(options.cpus ?? 1),
    accel: options.accel ?? ["kvm"],
    machine: { auxRamShare: options.auxRamShare ?? true },
    boot: bootConfig(options),
    chardevs: [serial],
    devices: options.devices ?? [],
    plugins: options.plugins ?? [],
  };
  checkIds(config);
  return config;
}
