/**
 * The devices that every machine has, once more: what is done to these nobody hears of. Those of the machine itself may have
 * to do with what the guest uses at this moment.
 */
import type { VmConfig } from "../config/vm-config.ts";
import type { ThreadRole } from "../device/device.ts";
import { ControlBlock } from "./control-block.ts";
import { DeviceHost } from "./device-host.ts";

/** @param config Of the machine; its devices of its own are left out, which may reach for the host. */
export const rehearsedHost = (config: VmConfig, role: ThreadRole): DeviceHost =>
  new DeviceHost({
    role,
    config: { ...config, devices: [] },
    control: new ControlBlock(),
    setIrqLevel: () => {},
    requested: () => {},
  });
