/** A device as `--device` gives it: `DRIVER,id=ID,property=value`. */
import type { DeviceOptions } from "../device/device.ts";
import { VmmError } from "../vmm-error.ts";
import { parseOptionList } from "./option-list.ts";

/** A device in a configuration. */
export type DeviceConfig = DeviceOptions & { readonly driver: string };

/**
 * Numbers and `on`/`off` become numbers and booleans, as they would be in a configuration file; the rest stays text.
 *
 * @param index How many devices came before: a device without an id is called after its driver and this.
 * @throws VmmError `config`.
 */
export function parseDeviceOption(text: string, index: number): DeviceConfig {
  const list = parseOptionList(text, { what: "--device", implied: "driver" });
  const driver = list.get("driver");
  if (driver === undefined) throw new VmmError("config", `--device: "${text}" names no driver`);
  const id = list.get("id") ?? `${driver}-${index}`;
  const properties: Record<string, unknown> = {};
  for (const [key, value] of list) if (key !== "driver" && key !== "id") properties[key] = plainValue(value);
  return { ...properties, driver, id };
}

function plainValue(value: string): string | number | boolean {
  if (value === "on") return true;
  if (value === "off") return false;
  if (/^(0|[1-9]\d{0,14})$/.test(value)) return Number(value);
  return value;
}
