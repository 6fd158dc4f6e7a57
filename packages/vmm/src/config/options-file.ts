/**
 * A VM described in a JSON file, as `vmm start --config FILE` takes it: the command line's options by their names.
 * Imports zod, so it is itself imported only where there is such a file.
 */
import { readFile, SyscallError } from "@vmm/libc";
import * as z from "zod";
import { VmmError } from "../vmm-error.ts";
import { parseChardevOption } from "./chardev-option.ts";
import { type MemoryOptions, parseMemoryOption } from "./memory-option.ts";
import { parseSize } from "./size.ts";
import { checkCpus, parseAccel, resolvePaths, type VmOptions } from "./vm-options.ts";

const Size = z.union([z.string(), z.int().positive()]);

/** The keys of `--memory`. */
export const MemoryObject = z.strictObject({
  size: Size.optional(),
  backend: z.enum(["memfd", "file", "ram", "epc"]).optional(),
  share: z.boolean().optional(),
  hugepages: z.enum(["2M", "1G"]).optional(),
  prealloc: z.boolean().optional(),
  path: z.string().min(1).optional(),
  id: z.string().min(1).optional(),
});

const Memory = z.union([z.string(), MemoryObject]);

/** The file's form. Paths are relative to the file's own folder. */
export const OptionsFile = z.strictObject({
  $schema: z.string().optional(),
  name: z.string().optional(),
  memory: Memory.optional(),
  cpus: z.int().optional(),
  accel: z.union([z.string(), z.array(z.string())]).optional(),
  kernel: z.string().min(1).optional(),
  initrd: z.string().min(1).optional(),
  cmdline: z.string().optional(),
  guest: z.literal("heartbeat").optional(),
  serial: z.string().optional(),
  machine: z.strictObject({ "aux-ram-share": z.boolean().optional() }).optional(),
  devices: z.array(z.looseObject({ driver: z.string().min(1), id: z.string().min(1).optional() })).optional(),
  plugins: z.array(z.string().min(1)).optional(),
});

type Memory = z.infer<typeof Memory>;

function memoryOptions(memory: Memory): MemoryOptions {
  if (typeof memory === "string") return parseMemoryOption(memory);
  const { size, ...rest } = memory;
  const bytes = typeof size === "string" ? parseSize(size, "memory.size") : size;
  const options = bytes === undefined ? rest : { ...rest, size: bytes };
  return options as MemoryOptions;
}

/** A value read from JSON, if it is of that form. @throws VmmError `config`, naming the place in it. */
export function ofForm<T>(form: z.ZodType<T>, json: unknown): T {
  const result = form.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const place = issue?.path.join(".");
  throw new VmmError("config", `${place ? `${place}: ` : ""}${issue?.message ?? "is not a configuration"}`);
}

/** The options that a value read from JSON stands for. @throws VmmError `config`, naming the place in the file. */
export function optionsFromJson(json: unknown): VmOptions {
  const { $schema: _, memory, accel, serial, machine, devices, cpus, ...plain } = ofForm(OptionsFile, json);
  const options: VmOptions = JSON.parse(JSON.stringify(plain));
  if (memory !== undefined) options.memory = memoryOptions(memory);
  if (cpus !== undefined) options.cpus = checkCpus(cpus);
  if (accel !== undefined) options.accel = parseAccel(typeof accel === "string" ? accel : accel.join(":"));
  if (serial !== undefined) options.serial = parseChardevOption(serial, "serial0");
  if (machine?.["aux-ram-share"] !== undefined) options.auxRamShare = machine["aux-ram-share"];
  if (devices) options.devices = devices.map((d, i) => ({ ...d, id: d.id ?? `${d.driver}-${i}` }));
  return options;
}

/** Largest file that is read, in bytes. */
const MAX_FILE = 1 << 20;

/** @param path Absolute. @throws VmmError `config`. */
export function readOptionsFile(path: string): VmOptions {
  const fail = (problem: string) => new VmmError("config", `--config ${path}: ${problem}`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(readFile(path, MAX_FILE)));
  } catch (error) {
    if (error instanceof SyscallError)
      throw fail(error.code === "ENOENT" ? "there is no such file" : error.message);
    throw fail(`not JSON: ${(error as Error).message}`);
  }
  try {
    return resolvePaths(optionsFromJson(json), path.slice(0, path.lastIndexOf("/")) || "/");
  } catch (error) {
    throw error instanceof VmmError ? fail(error.message) : error;
  }
}
