/** Sizes in bytes as people write them: `512M`, `2G`, `1.5G`, `65536`. K, M, G and T are powers of 1024, as in QEMU. */
import { VmmError } from "../vmm-error.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/**
 * @param what The option, for messages.
 * @returns Bytes, a positive integer.
 * @throws VmmError `config`.
 */
export function parseSize(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]?)(?:iB)?$/.exec(text);
  const unit = UNITS[match?.[2]?.toUpperCase() ?? "none"];
  if (!match || unit === undefined) {
    if (/^-\d/.test(text)) throw new VmmError("config", `${what}: a size cannot be negative, as ${text} is`);
    const help = "write a number with K, M, G or T, such as 512M";
    throw new VmmError("config", `${what}: "${text}" is not a size; ${help}`);
  }
  const bytes = Number(match[1]) * unit;
  if (bytes === 0) throw new VmmError("config", `${what}: the size cannot be 0`);
  if (!Number.isSafeInteger(bytes)) {
    throw new VmmError("config", `${what}: ${text} is not a whole number of bytes below 8 PiB`);
  }
  return bytes;
}

/** The shortest exact form: `512M`, `1536M`, `4097`. */
export function formatSize(bytes: number): string {
  for (const unit of ["T", "G", "M", "K"]) {
    const scale = UNITS[unit] as number;
    if (bytes >= scale && bytes % scale === 0) return `${bytes / scale}${unit}`;
  }
  return String(bytes);
}
