/** The ACPI power management timer (ACPI 6.5, section 4.8.2.1): 32 bits that count at 3.579545 MHz. */

export const PM_TIMER_HZ = 3579545;
const SECOND = 1e9;
/** Ticks between two flips of the highest bit, which is what the timer's event reports. */
const HALF = 2 ** 31;

/** Ticks since power on, exact for times of centuries: seconds and the rest are multiplied apart. */
function ticksSincePowerOn(now: number): number {
  const seconds = Math.floor(now / SECOND);
  return seconds * PM_TIMER_HZ + Math.floor(((now - seconds * SECOND) * PM_TIMER_HZ) / SECOND);
}

/** What the timer reads at `now` ns of the VM clock. */
export function pmTicks(now: number): number {
  return ticksSincePowerOn(now) % 2 ** 32;
}

/** When the highest bit flips next, in ns of the VM clock; later than `now`. */
export function nextFlip(now: number): number {
  const ticks = (Math.floor(ticksSincePowerOn(now) / HALF) + 1) * HALF;
  const seconds = Math.floor(ticks / PM_TIMER_HZ);
  return seconds * SECOND + Math.ceil(((ticks - seconds * PM_TIMER_HZ) * SECOND) / PM_TIMER_HZ);
}
