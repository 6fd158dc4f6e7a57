import { VmmError } from "../vmm-error.ts";

/** The name of a VM whose user gives none. (QEMU has no default name.) */
export const DEFAULT_NAME = "default";

/** The longest name, in characters. */
export const MAX_NAME = 64;

/** Checks a VM's name, which is also its folder's. @throws VmmError `config`. */
export function checkVmName(name: string): string {
  if (name.length <= MAX_NAME && /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) return name;
  const rule = `use letters, digits, "_", "." and "-", a letter or digit first, at most ${MAX_NAME}`;
  throw new VmmError("config", `"${name}" cannot be a VM's name: ${rule}`);
}
