import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { describeConformance } from "../../test/conformance.ts";
import { DeviceBench } from "../../test/device-bench.ts";
import { ACPI_PM_BASE, AcpiPm, SCI_GSI, SLEEP_TYPE_S5 } from "./acpi-pm.ts";
import { nextFlip, PM_TIMER_HZ, pmTicks } from "./pm-timer.ts";

const [STATUS, ENABLE, CONTROL, TIMER] = [0, 2, 4, 8].map((i) => ACPI_PM_BASE + i) as [
  number,
  number,
  number,
  number,
];
const SECOND = 1e9;
/** Time between two flips of the timer's highest bit. */
const HALF_PERIOD = Math.ceil((2 ** 31 / PM_TIMER_HZ) * SECOND);

function powerOn() {
  const bench = new DeviceBench();
  const pm = new AcpiPm(bench, { id: "pm" });
  bench.lock.with(() => pm.reset());
  pm.resume();
  const in16 = (port: number) => bench.pio.read(port, 2);
  const out16 = (port: number, value: number) => bench.pio.write(port, 2, value);
  return { bench, pm, in16, out16, sci: () => bench.level(SCI_GSI) };
}

describeConformance("ACPI's fixed hardware", (context) => new AcpiPm(context, { id: "pm" }));

describe("ACPI's fixed hardware", () => {
  test("comes up without events, in ACPI mode", () => {
    const { in16, sci } = powerOn();
    expect([STATUS, ENABLE, CONTROL].map(in16)).toEqual([0, 0, 1]);
    expect(sci()).toBe(0);
  });

  test("stays in ACPI mode whatever is written", () => {
    const { in16, out16 } = powerOn();
    out16(CONTROL, 0);
    expect(in16(CONTROL)).toBe(1);
  });

  test("reads status and enable as one word, and single bytes of them", () => {
    const { bench, pm, out16 } = powerOn();
    out16(ENABLE, 0x0521);
    bench.lock.with(() => pm.pressPowerButton());
    expect(bench.pio.read(STATUS, 4)).toBe(0x05210100);
    expect([0, 1, 2, 3].map((i) => bench.in8(STATUS + i))).toEqual([0x00, 0x01, 0x21, 0x05]);
  });

  test("has only the events that exist", () => {
    const { in16, out16 } = powerOn();
    out16(ENABLE, 0xffff);
    expect(in16(ENABLE)).toBe(0x0521);
    out16(STATUS, 0xffff);
    expect(in16(STATUS)).toBe(0);
  });

  test("powers off by S5 and by no other sleep type", () => {
    const { bench, out16 } = powerOn();
    for (let type = 0; type < 8; type++) {
      out16(CONTROL, type << 10);
      if (type !== SLEEP_TYPE_S5) out16(CONTROL, (type << 10) | 0x2000);
    }
    expect(bench.requests).toEqual([]);
    out16(CONTROL, (SLEEP_TYPE_S5 << 10) | 0x2000);
    expect(bench.requests).toEqual([{ kind: "shutdown", status: 0 }]);
  });
});

describe("the power button", () => {
  test("raises the SCI until the guest clears its status", () => {
    const { bench, pm, in16, out16, sci } = powerOn();
    out16(ENABLE, 0x0100);
    bench.lock.with(() => pm.pressPowerButton());
    expect([in16(STATUS), sci()]).toEqual([0x0100, 1]);
    out16(STATUS, 0x0020);
    expect(sci()).toBe(1);
    bench.out8(STATUS + 1, 0x01);
    expect([in16(STATUS), sci()]).toEqual([0, 0]);
  });

  test("waits in the status until the guest wants to know", () => {
    const { bench, pm, out16, sci } = powerOn();
    bench.lock.with(() => pm.pressPowerButton());
    expect(sci()).toBe(0);
    out16(ENABLE, 0x0100);
    expect(sci()).toBe(1);
    out16(ENABLE, 0);
    expect(sci()).toBe(0);
  });

  test("raises no interrupt while the VM is paused, but after it", () => {
    const { bench, pm, out16, sci } = powerOn();
    out16(ENABLE, 0x0100);
    pm.pause();
    bench.lock.with(() => pm.pressPowerButton());
    expect(sci()).toBe(0);
    bench.lock.with(() => pm.resume());
    expect(sci()).toBe(1);
  });
});

test("an alarm of the clock is an event of its own", () => {
  const { bench, pm, in16, out16, sci } = powerOn();
  out16(ENABLE, 0x0400);
  bench.lock.with(() => pm.rtcAlarm());
  expect([in16(STATUS), sci()]).toEqual([0x0400, 1]);
});

describe("the PM timer", () => {
  test("counts at 3.579545 MHz with the VM's clock", () => {
    const { bench } = powerOn();
    const read = () => bench.pio.read(TIMER, 4);
    const start = read();
    bench.advance(SECOND);
    expect(read() - start).toBe(PM_TIMER_HZ);
    bench.advance(10_000 * SECOND);
    expect(read()).toBe((start + 10_001 * PM_TIMER_HZ) % 2 ** 32);
  });

  test("does not run backwards, and is exact for a century", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.nat(1000), (now, more) => {
        const time = Math.abs(now) % 3.2e18;
        const exact = Number(((BigInt(time) * BigInt(PM_TIMER_HZ)) / 1_000_000_000n) % 2n ** 32n);
        expect(pmTicks(time)).toBe(exact);
        expect((pmTicks(time + more) - pmTicks(time) + 2 ** 32) % 2 ** 32).toBeLessThan(10);
      }),
    );
  });

  test("flips its highest bit when it says it will", () => {
    fc.assert(
      fc.property(fc.nat(1e15), (now) => {
        const flip = nextFlip(now);
        expect(flip).toBeGreaterThan(now);
        expect(flip - now).toBeLessThanOrEqual(HALF_PERIOD);
        const high = (time: number) => pmTicks(time) >= 2 ** 31;
        expect(high(flip)).not.toBe(high(now));
        expect(high(flip - 1)).toBe(high(now));
      }),
    );
  });

  test("sets its status at each flip, enabled or not", () => {
    const { bench, in16, out16 } = powerOn();
    for (let i = 0; i < 3; i++) {
      expect(in16(STATUS)).toBe(0);
      bench.advance(HALF_PERIOD);
      expect(in16(STATUS)).toBe(0x0001);
      out16(STATUS, 0x0001);
    }
  });

  test("raises the SCI at a flip when enabled", () => {
    const { bench, out16, sci } = powerOn();
    out16(ENABLE, 0x0001);
    for (let i = 0; i < 2; i++) {
      bench.advance(HALF_PERIOD - 2 * SECOND);
      expect(sci()).toBe(0);
      bench.advance(2 * SECOND);
      expect(sci()).toBe(1);
      out16(STATUS, 0x0001);
      expect(sci()).toBe(0);
    }
  });
});
