/** Times for people. */

const UNITS: readonly (readonly [name: string, ns: number])[] = [
  ["s", 1e9],
  ["ms", 1e6],
  ["µs", 1e3],
];

/** Such as `412 ns`, `3.125 ms`, `12.5 s`, `3 h 12 min 5 s`, `9 d 3 h 12 min`. */
export function formatDuration(ns: number): string {
  if (ns < 0) return `-${formatDuration(-ns)}`;
  if (ns >= 60e9) return longDuration(Math.round(ns / 1e9));
  const [unit, size] = UNITS.find(([, least]) => ns >= least) ?? ["ns", 1];
  return `${Number((ns / size).toFixed(3))} ${unit}`;
}

function longDuration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const parts = [
    [days, "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [days > 0 ? 0 : seconds % 60, "s"],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** The largest time that a Date can hold, in ms. */
const LAST_DATE = 8.64e15;

/** Such as `2026-11-03 12:00:01.250 UTC`. @param ns Since 1970-01-01 00:00 UTC. */
export function formatWallClock(ns: number): string {
  const ms = ns / 1e6;
  if (!(Math.abs(ms) <= LAST_DATE)) return `${ns} ns after 1970`;
  return `${new Date(ms).toISOString().replace("T", " ").replace("Z", "")} UTC`;
}
