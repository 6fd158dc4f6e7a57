/** Numbers with their units. */

/** Keeps a number and its unit on one line. */
const SPACE = "\u00a0";

/** Three digits that count: `0.52`, `12.4`, `180`. */
function threeDigits(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 99.95) return value.toFixed(0);
  if (magnitude >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}

/** Such as `0.52 ms`, `12.4 ms`, `1.25 s`, `12 min 5 s`. */
export function formatMs(ms: number): string {
  if (Math.abs(ms) < 0.005) return `0${SPACE}ms`;
  if (Math.abs(ms) < 999.5) return `${threeDigits(ms)}${SPACE}ms`;
  if (Math.abs(ms) < 99_995) return `${threeDigits(ms / 1000)}${SPACE}s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const parts =
    hours > 0
      ? [
          [hours, "h"],
          [minutes, "min"],
        ]
      : [
          [minutes, "min"],
          [seconds % 60, "s"],
        ];
  return parts.map(([count, unit]) => `${count}${SPACE}${unit}`).join(" ");
}

/** A tick of an axis: as many digits as the step between two of them needs. */
export function formatTick(ms: number, step: number): string {
  if (step >= 1000) return `${Number((ms / 1000).toFixed(2))}${SPACE}s`;
  const digits = [0, 1, 2].find((n) => Math.abs(step * 10 ** n - Math.round(step * 10 ** n)) < 1e-6) ?? 3;
  return `${ms.toFixed(digits)}${SPACE}ms`;
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** Such as `85.6 KiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = Number.isInteger(value) ? String(value) : threeDigits(value);
  return `${text}${SPACE}${UNITS[unit]}`;
}

/** Such as `5,000`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** @param share 0 to 1. */
export function formatShare(share: number): string {
  return `${share > 0 && share < 0.001 ? "<0.1" : (share * 100).toFixed(1)}${SPACE}%`;
}

/** Such as `2026-11-03 12:00:01 UTC`. @param ms Since 1970-01-01 00:00 UTC. */
export function formatDate(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
