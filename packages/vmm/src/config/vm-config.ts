/**
 * The configuration of a VM: plain data, the same for every thread and every VMM process that runs the VM. `vmm start`
 * makes it from its options or a file and writes it to `config.json` in the VM's folder.
 */
import type { DeviceOptions } from "../device/device.ts";

export interface MemoryBackendConfig {
  readonly id: string;
  readonly backend: "memfd" | "file" | "ram" | "epc";
  /** Size in bytes. */
  readonly size: number;
  readonly share: boolean;
  readonly hugepages?: "2M" | "1G";
  readonly prealloc: boolean;
  /** Of backend `file`: the file, or a folder in which an unnamed file is made. */
  readonly path?: string;
}

/** What the guest boots. */
export type BootConfig =
  | { readonly guest: "heartbeat" }
  | { readonly kernel: string; readonly initrd?: string; readonly cmdline: string };

/** Where a serial port's characters go. */
export type ChardevConfig =
  | { readonly id: string; readonly backend: "console" }
  | { readonly id: string; readonly backend: "stdio" }
  | { readonly id: string; readonly backend: "file"; readonly path: string }
  | { readonly id: string; readonly backend: "unix"; readonly path: string }
  | { readonly id: string; readonly backend: "pty" }
  | { readonly id: string; readonly backend: "null" };

export interface VmConfig {
  readonly name: string;
  /** The VM's folder: sockets, configuration, log. */
  readonly folder: string;
  readonly memory: MemoryBackendConfig;
  /** Number of vCPUs. */
  readonly cpus: number;
  /** Accelerators in order of preference. */
  readonly accel: readonly string[];
  readonly machine: {
    /** Whether RAM that no backend describes is shareable, so that it survives a live update. */
    readonly auxRamShare: boolean;
  };
  readonly boot: BootConfig;
  readonly chardevs: readonly ChardevConfig[];
  /** Devices beside the chipset's: `driver` names a registered device driver. */
  readonly devices: readonly (DeviceOptions & { readonly driver: string })[];
  /** Modules to import before devices are built; each registers drivers. Absolute paths or package names. */
  readonly plugins: readonly string[];
}

/** The most vCPUs a VM can have. */
export const MAX_CPUS = 64;
