import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { nextAlarm, RTC, RTC_B_24H, RTC_B_BINARY, readCalendar, writeCalendar } from "./rtc-calendar.ts";

const FORMATS = [0, RTC_B_24H, RTC_B_BINARY, RTC_B_24H | RTC_B_BINARY];
const format = fc.constantFrom(...FORMATS);
/** Seconds of the years 1900 to 2399. */
const time = fc.integer({ min: -2_208_988_800, max: 13_569_465_599 });

function cellsOf(b: number, values: Record<number, number> = {}): Uint8Array {
  const cells = new Uint8Array(128);
  for (const [index, value] of Object.entries(values)) cells[Number(index)] = value;
  cells[RTC.b] = b;
  return cells;
}

function written(iso: string, b: number): number[] {
  const cells = cellsOf(b);
  writeCalendar(cells, Date.parse(iso) / 1000);
  const { century, year, month, day, weekday, hours, minutes, seconds } = RTC;
  return [century, year, month, day, weekday, hours, minutes, seconds].map((index) => cells[index] as number);
}

describe("the clock registers", () => {
  test("hold a date in BCD and 24 hours", () => {
    expect(written("2026-11-23T17:08:59Z", RTC_B_24H)).toEqual([0x20, 0x26, 0x11, 0x23, 2, 0x17, 0x08, 0x59]);
  });

  test("hold a date in binary and 24 hours", () => {
    expect(written("2026-11-22T23:08:59Z", RTC_B_24H | RTC_B_BINARY)).toEqual([20, 26, 11, 22, 1, 23, 8, 59]);
  });

  test("hold the hours of a 12-hour clock with PM in bit 7", () => {
    const hours = (hour: string) => written(`2000-01-01T${hour}:00:00Z`, 0)[5];
    expect(["00", "01", "11", "12", "13", "23"].map(hours)).toEqual([0x12, 0x01, 0x11, 0x92, 0x81, 0x91]);
  });

  test("give back every time that was written, in every format", () => {
    fc.assert(
      fc.property(time, format, (seconds, b) => {
        const cells = cellsOf(b);
        writeCalendar(cells, seconds);
        expect(readCalendar(cells)).toBe(seconds);
      }),
    );
  });

  test("give some time for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 128, maxLength: 128 }), (cells) => {
        expect(Number.isSafeInteger(readCalendar(cells))).toBe(true);
      }),
    );
  });
});

describe("the alarm", () => {
  const any = 0xff;
  const field = (most: number) => fc.oneof(fc.constant(any), fc.nat(most));

  test("comes at the first second that matches, found by trying each", () => {
    fc.assert(
      fc.property(time, field(59), field(59), field(23), (after, second, minute, hour) => {
        const b = RTC_B_24H | RTC_B_BINARY;
        const { secondsAlarm, minutesAlarm, hoursAlarm } = RTC;
        const cells = cellsOf(b, { [secondsAlarm]: second, [minutesAlarm]: minute, [hoursAlarm]: hour });
        const matches = (t: number) => {
          const inDay = ((t % 86400) + 86400) % 86400;
          const is = (alarm: number, value: number) => alarm === any || alarm === value;
          const ofMinute = Math.floor(inDay / 60) % 60;
          return is(second, inDay % 60) && is(minute, ofMinute) && is(hour, Math.floor(inDay / 3600));
        };
        let first = after + 1;
        while (!matches(first)) first++;
        expect(nextAlarm(cells, after)).toBe(first);
      }),
      { numRuns: 60 },
    );
  });

  test("reads its registers in the clock's format", () => {
    const at = (b: number, hours: number) =>
      nextAlarm(cellsOf(b, { [RTC.hoursAlarm]: hours, [RTC.minutesAlarm]: 0, [RTC.secondsAlarm]: 0 }), 0) /
      3600;
    expect([at(RTC_B_24H, 0x17), at(0, 0x85), at(RTC_B_BINARY, 0x85), at(0, 0x12)]).toEqual([17, 17, 17, 24]);
  });

  test("never comes where a register holds no time of day", () => {
    for (const [index, value] of [
      [RTC.secondsAlarm, 60],
      [RTC.minutesAlarm, 0xbf],
      [RTC.hoursAlarm, 24],
    ] as const) {
      expect(nextAlarm(cellsOf(RTC_B_24H | RTC_B_BINARY, { [index]: value }), 0)).toBe(Infinity);
    }
  });
});
