import { describe, expect, test } from "bun:test";
import { describeConformance } from "../../test/conformance.ts";
import { DeviceBench } from "../../test/device-bench.ts";
import { CmosRtc, RTC_IRQ } from "./cmos-rtc.ts";
import { RTC } from "./rtc-calendar.ts";

const MIB = 2 ** 20;
const MS = 1e6;
const SECOND = 1e9;
const [SET, PIE, AIE, UIE, B_24H] = [0x80, 0x40, 0x20, 0x10, 0x02];

function powerOn(lowMemory = 512 * MIB, highMemory = 0) {
  const bench = new DeviceBench();
  let alarms = 0;
  const alarm = () => void alarms++;
  const rtc = new CmosRtc(bench, { id: "rtc", lowMemory, highMemory, alarm });
  bench.lock.with(() => rtc.reset());
  const read = (index: number) => {
    bench.out8(0x70, index);
    return bench.in8(0x71);
  };
  const write = (index: number, value: number) => {
    bench.out8(0x70, index);
    bench.out8(0x71, value);
  };
  const { century, year, month, day, hours, minutes, seconds } = RTC;
  const now = () => {
    const hex = [century, year, month, day, hours, minutes, seconds].map((i) =>
      read(i).toString(16).padStart(2, "0"),
    );
    return `${hex[0]}${hex[1]}-${hex[2]}-${hex[3]} ${hex.slice(4).join(":")}`;
  };
  /** Register C without the periodic flag, which the chip raises all the time. */
  const flags = () => read(RTC.c) & ~PIE;
  return { bench, rtc, read, write, now, flags, line: () => bench.level(RTC_IRQ), alarms: () => alarms };
}

/** Sets the clock as Linux does: halted, the divider in reset, and both back. */
function setAsLinuxDoes(write: (index: number, value: number) => void, read: (index: number) => number) {
  const [a, b] = [read(RTC.a), read(RTC.b)];
  write(RTC.b, b | SET);
  write(RTC.a, a | 0x70);
  const values: [number, number][] = [
    [RTC.year, 0x31],
    [RTC.month, 0x12],
    [RTC.day, 0x31],
    [RTC.hours, 0x23],
    [RTC.minutes, 0x59],
    [RTC.seconds, 0x58],
    [RTC.century, 0x20],
  ];
  for (const [index, value] of values) write(index, value);
  write(RTC.b, b);
  write(RTC.a, a & 0x7f);
}

describeConformance("the clock", (context) => {
  return new CmosRtc(context, { id: "rtc", lowMemory: 3072 * MIB, highMemory: 2048 * MIB });
});

describe("the clock's registers", () => {
  test("come up as PC firmware leaves them", () => {
    const { read } = powerOn();
    expect([RTC.a, RTC.b, RTC.c, RTC.d].map(read)).toEqual([0x26, B_24H, 0, 0x80]);
  });

  test("are chosen through port 0x70, whose bit 7 means nothing", () => {
    const { bench, write, read } = powerOn();
    write(0x40, 0x5a);
    expect(read(0xc0)).toBe(0x5a);
    expect(bench.in8(0x70)).toBe(0xff);
  });

  test("C and D are not written", () => {
    const { read, write } = powerOn();
    write(RTC.c, 0xff);
    write(RTC.d, 0);
    expect([read(RTC.c), read(RTC.d)]).toEqual([0, 0x80]);
  });

  test("tell the memory's size", () => {
    const two = (read: (i: number) => number, index: number) => read(index) | (read(index + 1) << 8);
    const small = powerOn(48 * MIB).read;
    expect([0x15, 0x17, 0x30, 0x34].map((i) => two(small, i))).toEqual([640, 47 * 1024, 47 * 1024, 512]);
    const large = powerOn(3072 * MIB, 2048 * MIB).read;
    expect([0x15, 0x17, 0x30, 0x34].map((i) => two(large, i))).toEqual([640, 0xffff, 0xffff, 3056 * 16]);
    expect(large(0x5b) | (large(0x5c) << 8) | (large(0x5d) << 16)).toBe(2048 * 16);
    expect(two(powerOn(2 * MIB).read, 0x34)).toBe(0);
  });
});

describe("the clock's time", () => {
  test("is the host's, in UTC", () => {
    const { now, bench } = powerOn();
    expect(now()).toBe("2025-01-15 10:20:30");
    bench.advance(500 * MS);
    expect(now()).toBe("2025-01-15 10:20:31");
    bench.advance(86_400 * 17 * SECOND);
    expect(now()).toBe("2025-02-01 10:20:31");
  });

  test("follows a step of the host's wall clock", () => {
    const { now, bench } = powerOn();
    bench.stepWall(-3_600_000);
    expect(now()).toBe("2025-01-15 09:20:30");
  });

  test("stands still while the guest sets it, and goes on from what was set", () => {
    const { now, write, bench } = powerOn();
    write(RTC.b, SET | B_24H);
    bench.advance(10 * SECOND);
    expect(now()).toBe("2025-01-15 10:20:30");
    write(RTC.minutes, 0x45);
    bench.advance(10 * SECOND);
    expect(now()).toBe("2025-01-15 10:45:30");
    write(RTC.b, B_24H);
    bench.advance(2 * SECOND);
    expect(now()).toBe("2025-01-15 10:45:32");
  });

  test("takes each register at once where the guest does not halt it", () => {
    const { now, write, bench } = powerOn();
    write(RTC.hours, 0x23);
    write(RTC.year, 0x99);
    write(RTC.century, 0x19);
    bench.advance(SECOND);
    expect(now()).toBe("1999-01-15 23:20:31");
  });

  test("is set as Linux sets it, with the first update half a second later", () => {
    const { now, write, read, bench } = powerOn();
    bench.advance(300 * MS);
    setAsLinuxDoes(write, read);
    expect(now()).toBe("2031-12-31 23:59:58");
    bench.advance(499 * MS);
    expect(now()).toBe("2031-12-31 23:59:58");
    bench.advance(1 * MS);
    expect(now()).toBe("2031-12-31 23:59:59");
    bench.advance(SECOND);
    expect(now()).toBe("2032-01-01 00:00:00");
  });

  test("stays set over a system reset", () => {
    const { now, write, read, bench, rtc } = powerOn();
    setAsLinuxDoes(write, read);
    write(0x40, 0x77);
    bench.lock.with(() => rtc.reset());
    expect(now()).toBe("2031-12-31 23:59:58");
    expect(read(0x40)).toBe(0x77);
  });

  test("goes on after a reset in the midst of setting it", () => {
    const { now, write, bench, rtc } = powerOn();
    write(RTC.b, SET | B_24H);
    write(RTC.day, 0x20);
    bench.lock.with(() => rtc.reset());
    bench.advance(SECOND);
    expect(now()).toBe("2025-01-20 10:20:31");
  });

  test("is shown in binary and 12 hours on demand", () => {
    const { read, write, bench } = powerOn();
    write(RTC.b, 0x04);
    bench.advance(5 * 3600 * SECOND);
    expect([RTC.hours, RTC.minutes, RTC.year, RTC.century].map(read)).toEqual([0x83, 20, 25, 20]);
  });

  test("warns of an update for 244 µs before it, and only while it runs", () => {
    const { read, write, bench } = powerOn();
    const busy = () => read(RTC.a) >> 7;
    bench.advance(499 * MS);
    expect(busy()).toBe(0);
    bench.advance(800_000);
    expect(busy()).toBe(1);
    write(RTC.b, SET | B_24H);
    expect(busy()).toBe(0);
    write(RTC.b, B_24H);
    bench.advance(200_000);
    expect(busy()).toBe(0);
  });

  test("reads the same for a guest that obeys the warning as one moment", () => {
    const { read, bench, now } = powerOn();
    for (let i = 0; i < 5000; i++) {
      bench.advance(100_000);
      if (read(RTC.a) & 0x80) continue;
      const before = now();
      bench.advance(200_000); // less than the warning's length
      expect(now()).toBe(before);
      bench.advance(37_777);
    }
  });
});

describe("the clock's update interrupt", () => {
  test("comes each second, once per read of register C", () => {
    const { bench, flags, write, line } = powerOn();
    write(RTC.b, B_24H | UIE);
    expect(line()).toBe(0);
    for (let i = 0; i < 3; i++) {
      bench.advance(i === 0 ? 500 * MS : SECOND);
      expect(line()).toBe(1);
      expect(flags()).toBe(0x90);
      expect([line(), flags()]).toEqual([0, 0]);
    }
  });

  test("sets its flag without being enabled", () => {
    const { bench, flags, line } = powerOn();
    bench.advance(SECOND);
    expect(line()).toBe(0);
    expect(flags()).toBe(0x10);
  });

  test("does not come while the clock is halted, and is disabled by halting it", () => {
    const { bench, read, flags, write, line } = powerOn();
    write(RTC.b, B_24H | UIE | SET);
    expect(read(RTC.b)).toBe(B_24H | SET);
    bench.advance(5 * SECOND);
    expect([line(), flags()]).toEqual([0, 0]);
  });

  test("is given once for all the time that nobody looked", () => {
    const { bench, write, read } = powerOn();
    write(RTC.b, B_24H | UIE);
    bench.advance(60 * SECOND);
    expect(bench.edges).toEqual([{ gsi: RTC_IRQ, level: 1 }]);
    read(RTC.c);
    bench.advance(SECOND);
    expect(bench.edges.length).toBe(3);
  });
});

describe("the clock's alarm", () => {
  const arm = (write: (i: number, v: number) => void, hour: number, minute: number, second: number) => {
    write(RTC.hoursAlarm, hour);
    write(RTC.minutesAlarm, minute);
    write(RTC.secondsAlarm, second);
    write(RTC.b, B_24H | AIE);
  };

  test("interrupts at its time, tells ACPI, and comes again the next day", () => {
    const { bench, flags, write, line, alarms } = powerOn();
    arm(write, 0x10, 0x25, 0x00);
    bench.advance(269 * SECOND);
    expect([line(), alarms()]).toEqual([0, 0]);
    bench.advance(SECOND);
    expect([line(), alarms()]).toEqual([1, 1]);
    expect(flags()).toBe(0xb0);
    bench.advance(86_399 * SECOND);
    expect(line()).toBe(0);
    bench.advance(SECOND);
    expect([line(), alarms()]).toEqual([1, 2]);
  });

  test("comes each minute where only the second counts", () => {
    const { bench, read, write, line } = powerOn();
    arm(write, 0xff, 0xc0, 0x05);
    for (let i = 0; i < 3; i++) {
      bench.advance(60 * SECOND);
      expect(line()).toBe(1);
      read(RTC.c);
    }
  });

  test("is not missed when the host's wall clock steps over it", () => {
    const { bench, write, line } = powerOn();
    arm(write, 0x18, 0x00, 0x00);
    bench.stepWall(8 * 3_600_000);
    bench.advance(61 * SECOND);
    expect(line()).toBe(1);
  });

  test("is not early when the host's wall clock steps back", () => {
    const { bench, write, line } = powerOn();
    arm(write, 0x10, 0x20, 0x40);
    bench.stepWall(-30_000);
    bench.advance(20 * SECOND);
    expect(line()).toBe(0);
    bench.advance(20 * SECOND);
    expect(line()).toBe(1);
  });
});

describe("the clock's periodic interrupt", () => {
  test("has the rates of the data sheet", () => {
    for (const [rate, hz] of [
      [1, 256],
      [2, 128],
      [3, 8192],
      [6, 1024],
      [15, 2],
    ] as const) {
      const { bench, read, write, line } = powerOn();
      write(RTC.a, 0x20 | rate);
      write(RTC.b, B_24H | PIE);
      let count = 0;
      for (let i = 0; i < 10_000; i++) {
        bench.advance(SECOND / 10_000);
        if (line()) {
          expect(read(RTC.c) & 0xc0).toBe(0xc0);
          count++;
        }
      }
      expect(Math.abs(count - hz)).toBeLessThanOrEqual(1);
    }
  });

  test("is off at rate 0", () => {
    const { bench, read, write } = powerOn();
    write(RTC.a, 0x20);
    write(RTC.b, B_24H | PIE);
    bench.advance(SECOND / 4);
    expect(read(RTC.c) & 0x40).toBe(0);
  });
});

test("the clock finds what happened while the VM stood still when it resumes", () => {
  const { bench, rtc, write, line } = powerOn();
  write(RTC.b, B_24H | UIE);
  bench.stepWall(5000);
  bench.lock.with(() => rtc.resume());
  expect(line()).toBe(1);
});
