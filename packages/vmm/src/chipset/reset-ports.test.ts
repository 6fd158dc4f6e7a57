import { describe, expect, test } from "bun:test";
import { describeConformance } from "../../test/conformance.ts";
import { DeviceBench } from "../../test/device-bench.ts";
import { DebugExit } from "./debug-exit.ts";
import { Port92 } from "./port92.ts";
import { RESET_PORT, RESET_VALUE, ResetControl } from "./reset-control.ts";

describeConformance("port 92", (context) => new Port92(context));
describeConformance("the reset control register", (context) => new ResetControl(context));
describeConformance("the debug-exit port", (context) => new DebugExit(context));

describe("port 92", () => {
  const powerOn = () => {
    const bench = new DeviceBench();
    new Port92(bench).reset();
    return bench;
  };

  test("has the A20 gate open for good", () => {
    const { in8, out8 } = powerOn();
    expect(in8(0x92)).toBe(0x02);
    out8(0x92, 0x00);
    expect(in8(0x92)).toBe(0x02);
  });

  test("resets on the rise of bit 0", () => {
    const { out8, requests } = powerOn();
    out8(0x92, 0x02);
    expect(requests).toEqual([]);
    out8(0x92, 0x03);
    expect(requests).toEqual([{ kind: "reset", status: 0 }]);
    out8(0x92, 0x01);
    expect(requests.length).toBe(1);
  });
});

describe("the reset control register", () => {
  const powerOn = () => {
    const bench = new DeviceBench();
    new ResetControl(bench).reset();
    return bench;
  };

  test("remembers the kind of reset and resets when told to", () => {
    const { in8, out8, requests } = powerOn();
    out8(RESET_PORT, 0x0a);
    expect([in8(RESET_PORT), requests.length]).toEqual([0x0a, 0]);
    out8(RESET_PORT, 0x0e);
    expect([in8(RESET_PORT), requests.length]).toEqual([0x0a, 1]);
  });

  test("resets by the value that the FADT gives", () => {
    const { out8, requests } = powerOn();
    out8(RESET_PORT, RESET_VALUE);
    expect(requests).toEqual([{ kind: "reset", status: 0 }]);
  });

  test("leaves PCI's configuration address to others", () => {
    const { pio } = powerOn();
    expect(pio.ranges().map(({ base, size }) => [base, size])).toEqual([[0xcf9, 1]]);
  });
});

test("the debug-exit port makes an odd status of what is written", () => {
  const bench = new DeviceBench();
  new DebugExit(bench);
  bench.out8(0xf4, 0);
  bench.out8(0xf4, 0x10);
  bench.pio.write(0xf4, 4, 0x31);
  expect(bench.requests).toEqual([
    { kind: "exit", status: 1 },
    { kind: "exit", status: 0x21 },
    { kind: "exit", status: 0x63 },
  ]);
});
