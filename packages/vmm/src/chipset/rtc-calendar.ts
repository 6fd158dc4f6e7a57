/**
 * How the MC146818 writes a date into its registers and compares an alarm with it: BCD or binary, 24 or 12 hours.
 *
 * A time is a count of seconds since 1970-01-01 00:00 in whatever zone the guest keeps its clock.
 */

/** Registers by their index in CMOS RAM. */
export const RTC = {
  seconds: 0x00,
  secondsAlarm: 0x01,
  minutes: 0x02,
  minutesAlarm: 0x03,
  hours: 0x04,
  hoursAlarm: 0x05,
  /** 1 is Sunday. */
  weekday: 0x06,
  day: 0x07,
  month: 0x08,
  year: 0x09,
  a: 0x0a,
  b: 0x0b,
  c: 0x0c,
  d: 0x0d,
  /** Where PC firmware keeps the century; the FADT tells the guest. */
  century: 0x32,
} as const;

/** Register B: numbers are binary, not BCD. */
export const RTC_B_BINARY = 0x04;
/** Register B: hours are 0-23, not 1-12 with PM in bit 7. */
export const RTC_B_24H = 0x02;

const HOUR_PM = 0x80;
/** Alarm values from here on match always. */
const ALARM_ANY = 0xc0;
const DAY = 86400;

function encode(value: number, b: number): number {
  return b & RTC_B_BINARY ? value & 0xff : (Math.floor(value / 10) << 4) | (value % 10);
}

function decode(value: number, b: number): number {
  return b & RTC_B_BINARY ? value : (value >> 4) * 10 + (value & 0x0f);
}

function encodeHours(hours: number, b: number): number {
  if (b & RTC_B_24H) return encode(hours, b);
  return encode(hours % 12 || 12, b) | (hours >= 12 ? HOUR_PM : 0);
}

function decodeHours(value: number, b: number): number {
  if (b & RTC_B_24H) return decode(value, b);
  return (decode(value & ~HOUR_PM, b) % 12) + (value & HOUR_PM ? 12 : 0);
}

/** Writes `time` into the clock registers in the format that register B sets. */
export function writeCalendar(cells: Uint8Array, time: number): void {
  const b = cells[RTC.b] as number;
  const date = new Date(time * 1000);
  const year = date.getUTCFullYear();
  cells[RTC.seconds] = encode(date.getUTCSeconds(), b);
  cells[RTC.minutes] = encode(date.getUTCMinutes(), b);
  cells[RTC.hours] = encodeHours(date.getUTCHours(), b);
  cells[RTC.weekday] = encode(date.getUTCDay() + 1, b);
  cells[RTC.day] = encode(date.getUTCDate(), b);
  cells[RTC.month] = encode(date.getUTCMonth() + 1, b);
  cells[RTC.year] = encode(year % 100, b);
  cells[RTC.century] = encode(Math.floor(year / 100), b);
}

/** The time that the clock registers say. A date that does not exist carries over, so that any bytes give a time. */
export function readCalendar(cells: Uint8Array): number {
  const b = cells[RTC.b] as number;
  const field = (index: number) => decode(cells[index] as number, b);
  const date = new Date(0);
  date.setUTCFullYear(field(RTC.century) * 100 + field(RTC.year), field(RTC.month) - 1, field(RTC.day));
  date.setUTCHours(decodeHours(cells[RTC.hours] as number, b), field(RTC.minutes), field(RTC.seconds));
  return date.getTime() / 1000;
}

/** How far it is from `from` up to the next `to` in a cycle, 0 where they are equal. */
const ahead = (from: number, to: number, cycle: number): number => (to - from + cycle) % cycle;

/** The first second after `after` at which the alarm registers match, or Infinity where they can't. */
export function nextAlarm(cells: Uint8Array, after: number): number {
  const b = cells[RTC.b] as number;
  const alarm = (index: number, read: typeof decode) => {
    const value = cells[index] as number;
    return value >= ALARM_ANY ? undefined : read(value, b);
  };
  const second = alarm(RTC.secondsAlarm, decode);
  const minute = alarm(RTC.minutesAlarm, decode);
  const hour = alarm(RTC.hoursAlarm, decodeHours);
  if ((second ?? 0) > 59 || (minute ?? 0) > 59 || (hour ?? 0) > 23) return Infinity;

  const midnight = Math.floor(after / DAY) * DAY;
  let time = after - midnight + 1;
  if (second !== undefined) time += ahead(time % 60, second, 60);
  const minutes = minute === undefined ? 0 : ahead(Math.floor(time / 60) % 60, minute, 60);
  // A minute other than this one is entered at its first matching second, and an hour at its first matching minute.
  if (minutes > 0) time += minutes * 60 - (second === undefined ? time % 60 : 0);
  const hours = hour === undefined ? 0 : ahead(Math.floor(time / 3600) % 24, hour, 24);
  if (hours > 0) time += hours * 3600 - (time % 3600) + (minute ?? 0) * 60 + (second ?? 0);
  return midnight + time;
}
