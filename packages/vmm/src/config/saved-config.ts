/**
 * The configuration that a saved VM brings with it, from whoever made the file: it is taken back to the options that it
 * stands for, and these are checked as everybody's are. Imports zod, so it is itself imported only for such a file.
 */
import * as z from "zod";
import { withoutFormat } from "./config-file.ts";
import { MemoryObject, OptionsFile, ofForm, optionsFromJson } from "./options-file.ts";
import { pathsOf } from "./runtime-folder.ts";
import type { VmConfig } from "./vm-config.ts";
import { checkVmName } from "./vm-name.ts";
import { configOfGuest, resolvePaths } from "./vm-options.ts";

/** What is written there is absolute. */
const Path = z.string().startsWith("/");

const Chardev = z.strictObject({
  id: z.literal("serial0"),
  backend: z.string().regex(/^\w+$/),
  path: Path.optional(),
});

/** A `VmConfig` as JSON, as far as that is not checked as an option. */
const SavedConfig = z.strictObject({
  name: z.string(),
  folder: z.string().optional(),
  memory: MemoryObject.extend({ path: Path.optional() }),
  cpus: z.int(),
  accel: z.array(z.string()),
  machine: z.strictObject({ auxRamShare: z.boolean() }),
  boot: z.union(
    [
      z.strictObject({ guest: z.literal("heartbeat") }),
      z.strictObject({ kernel: Path, initrd: Path.optional(), cmdline: z.string() }),
    ],
    { error: "is neither a built-in guest nor a kernel with its paths" },
  ),
  chardevs: z.tuple([Chardev]),
  devices: OptionsFile.shape.devices.unwrap(),
  plugins: OptionsFile.shape.plugins.unwrap(),
});

/** As `--serial` has it. */
function serialText({ backend, path }: z.infer<typeof Chardev>): string {
  const kind = backend === "null" ? "none" : backend;
  return path === undefined ? kind : `${kind}:${path}`;
}

/**
 * @param value What a state's header says of the configuration.
 * @returns It, with the folder that a VM of its name has here.
 * @throws VmmError `config`.
 */
export function configFromSaved(value: unknown): VmConfig {
  const { name, boot, machine, chardevs, folder: _, ...same } = ofForm(SavedConfig, withoutFormat(value));
  const json = {
    ...same,
    ...boot,
    machine: { "aux-ram-share": machine.auxRamShare },
    serial: serialText(chardevs[0]),
  };
  const { folder } = pathsOf(checkVmName(name));
  return configOfGuest(resolvePaths(optionsFromJson(json), "/"), { name, folder });
}
