/** The configuration that a saved VM brings with it. */
import { SavedFile } from "@vmm/cpr";
import type { VmConfig } from "@vmm/vmm/config/index.ts";
import { reasonOf, UsageError } from "../cli-error.ts";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether it is one: it was checked when the VM was started, and the file's checksum says that it is unchanged. */
function isConfig(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { name, memory, cpus, chardevs, devices, plugins } = value;
  const lists = [chardevs, devices, plugins].every((list) => Array.isArray(list));
  return typeof name === "string" && isObject(memory) && typeof cpus === "number" && lists;
}

/** @throws UsageError where the file is not a saved VM. */
export function savedConfig(path: string): VmConfig {
  let config: unknown;
  try {
    const file = new SavedFile(path);
    config = file.state.header.machine.config;
    file.close();
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
  if (!isConfig(config)) {
    throw new UsageError(
      `${path} does not say how its VM was configured: use vmm start --incoming file:${path}`,
    );
  }
  return config as VmConfig;
}
