/** The drivers that a configuration can name. A plug-in adds its own by `registerDriver` when it is imported. */
import { VmmError } from "../vmm-error.ts";
import type { DeviceDriver } from "./device.ts";

const drivers = new Map<string, DeviceDriver>();

/** Makes a driver known. @throws VmmError `device` where the name is taken. */
export function registerDriver(driver: DeviceDriver): void {
  if (drivers.has(driver.name))
    throw new VmmError("device", `device driver "${driver.name}" is registered twice`);
  drivers.set(driver.name, driver);
}

/** @throws VmmError `device` where there is no such driver; the message lists those there are. */
export function findDriver(name: string): DeviceDriver {
  const driver = drivers.get(name);
  if (driver) return driver;
  const known = [...drivers.keys()].sort().join(", ") || "none";
  throw new VmmError("device", `no device driver "${name}"; known are: ${known} (is its --plugin missing?)`);
}
