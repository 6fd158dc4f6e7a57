/**
 * The package's face: what a device in a plug-in needs. `examples/watchdog` is one.
 *
 * Our own packages import each part by its path, such as `@vmm/vmm/config/index.ts`, so that a start loads no more than it
 * uses.
 */
export type { RecordSchema } from "./arena/state-arena.ts";
export type { BusRange, BusTarget } from "./bus/bus.ts";
export type {
  Device,
  DeviceContext,
  DeviceDriver,
  DeviceOptions,
  MachineRequest,
  ThreadRole,
} from "./device/device.ts";
export type { DeviceTimer } from "./device/device-timer.ts";
export type { IrqLine } from "./device/irq-line.ts";
export { registerDriver } from "./device/registry.ts";
export { VmmError, type VmmErrorCode } from "./vmm-error.ts";
