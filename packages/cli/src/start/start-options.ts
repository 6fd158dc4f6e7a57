/** The options of `vmm start`, and how they become what a VM is configured by. */
import {
  absolutePath,
  checkCpus,
  mergeOptions,
  parseAccel,
  parseChardevOption,
  parseDeviceOption,
  parseMachineOption,
  parseMemoryOption,
  resolvePaths,
  type VmOptions,
} from "@vmm/vmm/config/index.ts";
import { UsageError } from "../cli-error.ts";
import type { OptionSpecs, OptionValues } from "../command/command.ts";

export const START_OPTIONS = {
  name: { value: "NAME", summary: "The VM's name (default: default)" },
  memory: {
    value: "SIZE",
    summary:
      "RAM, such as 512M (default) or 2G; or key=value,...: size, backend=memfd|file|ram, share=on|off, " +
      "hugepages=2M|1G, prealloc=on|off, path, id",
  },
  cpus: { value: "N", summary: "Number of vCPUs (default: 1)" },
  accel: { value: "NAME", summary: "Accelerator: kvm (default)", complete: ["kvm"] },
  kernel: { value: "FILE", summary: "Kernel: bzImage, or ELF with a PVH note", complete: "file" },
  initrd: { value: "FILE", summary: "Initial RAM disk for the kernel", complete: "file" },
  cmdline: { value: "TEXT", summary: "Command line for the kernel" },
  guest: {
    value: "GUEST",
    summary: "Built-in guest in place of a kernel: heartbeat, which counts",
    complete: ["heartbeat"],
  },
  serial: {
    value: "WHERE",
    summary:
      "Where the serial port goes: console (default, see vmm console), stdio, file:PATH, unix:PATH, pty, none",
    complete: ["console", "stdio", "file:", "unix:", "pty", "none"],
  },
  machine: {
    value: "KEY=VALUE",
    summary: "Machine property: aux-ram-share=on|off",
    complete: ["aux-ram-share=on", "aux-ram-share=off"],
  },
  device: { value: "DRIVER,...", summary: "Add a device: DRIVER,id=ID,property=value,...", repeat: true },
  plugin: {
    value: "MODULE",
    summary: "Import a module that brings device drivers",
    repeat: true,
    complete: "file",
  },
  incoming: {
    value: "WHERE",
    summary:
      "Do not boot: take over a guest from file:PATH; wait for migrate-incoming (defer), or as the successor of the VM " +
      "of that name at the socket cpr:PATH",
    complete: ["defer", "file:", "cpr:"],
  },
  config: {
    value: "FILE",
    summary: "Options from a JSON file; those on the command line win",
    complete: "file",
  },
  foreground: { summary: "Become the VM's process, for systemd; Ctrl-C ends it" },
  json: { summary: "Print JSON" },
} as const satisfies OptionSpecs;

export type StartValues = OptionValues<typeof START_OPTIONS>;

function parseCpus(text: string): number {
  return checkCpus(/^\d{1,4}$/.test(text) ? Number(text) : Number.NaN, text);
}

function guestOf(name: string): "heartbeat" {
  if (name === "heartbeat") return name;
  throw new UsageError(`--guest: there is no built-in guest "${name}"; known is: heartbeat`);
}

/** What the command line says of the VM, the configuration file left aside. */
export function optionsOf(values: StartValues): VmOptions {
  const options: VmOptions = {};
  if (values.name !== undefined) options.name = values.name;
  if (values.memory !== undefined) options.memory = parseMemoryOption(values.memory);
  if (values.cpus !== undefined) options.cpus = parseCpus(values.cpus);
  if (values.accel !== undefined) options.accel = parseAccel(values.accel);
  if (values.kernel !== undefined) options.kernel = values.kernel;
  if (values.initrd !== undefined) options.initrd = values.initrd;
  if (values.cmdline !== undefined) options.cmdline = values.cmdline;
  if (values.guest !== undefined) options.guest = guestOf(values.guest);
  if (values.serial !== undefined) options.serial = parseChardevOption(values.serial, "serial0");
  if (values.machine !== undefined) Object.assign(options, parseMachineOption(values.machine));
  if (values.device.length > 0) options.devices = values.device.map(parseDeviceOption);
  if (values.plugin.length > 0) options.plugins = values.plugin;
  return resolvePaths(options, process.cwd());
}

/** All that the user says of the VM. */
export async function allOptions(values: StartValues): Promise<VmOptions> {
  const options = optionsOf(values);
  if (values.config === undefined) return options;
  const { readOptionsFile } = await import("@vmm/vmm/config/options-file.ts");
  return mergeOptions(readOptionsFile(absolutePath(values.config, process.cwd())), options);
}

/** @throws UsageError for what is no source of a saved guest. */
export function checkIncoming(where: string): string {
  if (where === "defer") return where;
  const [kind, ...rest] = where.split(":");
  const path = rest.join(":");
  if ((kind === "file" || kind === "cpr") && path !== "")
    return `${kind}:${absolutePath(path, process.cwd())}`;
  throw new UsageError(`--incoming: "${where}" is not one of defer, file:PATH, cpr:PATH`);
}
