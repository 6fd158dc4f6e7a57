/** `config.json` in a VM's folder: the configuration as the VM process reads it. Written by us, so read without a schema. */
import { readFile, writeFile } from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";
import type { VmConfig } from "./vm-config.ts";

/** Grows when a configuration that was written before could no longer be read as it was meant. */
const FORMAT = 1;

export function writeConfig(path: string, config: VmConfig): void {
  writeFile(path, `${JSON.stringify({ format: FORMAT, ...config }, null, 2)}\n`, 0o600);
}

/** @throws VmmError `config` where the file is missing, damaged or of another version. */
export function readConfig(path: string): VmConfig {
  const fail = (problem: string) => new VmmError("config", `the VM's configuration ${path} ${problem}`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(readFile(path)));
  } catch (error) {
    throw fail(`cannot be read: ${(error as Error).message}`);
  }
  try {
    return withoutFormat(value) as VmConfig;
  } catch (error) {
    throw fail((error as Error).message);
  }
}

/** What a configuration says beside the number of its format. @throws VmmError `config` where that is not ours. */
export function withoutFormat(value: unknown): object {
  if (typeof value !== "object" || value === null || !("format" in value))
    throw new VmmError("config", "is not one");
  const { format, ...config } = value;
  if (format === FORMAT) return config;
  throw new VmmError("config", `has format ${format}, and this version of vmm reads format ${FORMAT}`);
}
