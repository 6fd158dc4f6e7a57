import { describe, expect, test } from "bun:test";
import { describeConformance } from "../../test/conformance.ts";
import { DeviceBench } from "../../test/device-bench.ts";
import { I8042 } from "./i8042.ts";

const [DATA, COMMAND] = [0x60, 0x64];

function powerOn() {
  const bench = new DeviceBench();
  const i8042 = new I8042(bench);
  bench.lock.with(() => i8042.reset());
  const { in8, out8 } = bench;
  /** Sends a command with its argument and takes the answer; -1 where the output buffer stays empty. */
  const ask = (command: number, argument?: number) => {
    out8(COMMAND, command);
    if (argument !== undefined) out8(DATA, argument);
    return in8(COMMAND) & 0x01 ? in8(DATA) : -1;
  };
  return { bench, in8, out8, ask };
}

describeConformance("the keyboard controller", (context) => new I8042(context));

describe("the keyboard controller", () => {
  test("comes up with an empty buffer", () => {
    expect(powerOn().in8(COMMAND)).toBe(0x14);
  });

  test("answers the questions of a driver that probes it", () => {
    const { ask } = powerOn();
    expect(ask(0xaa)).toBe(0x55);
    expect(ask(0x20)).toBe(0x34);
    expect(ask(0x60, 0x75)).toBe(-1);
    expect(ask(0x20)).toBe(0x75);
    expect(ask(0xab)).toBe(0x00);
    expect([ask(0xc0), ask(0xd0)]).toEqual([0x00, 0x03]);
    expect(ask(0xd2, 0x77)).toBe(0x77);
  });

  test("has no auxiliary port: the loop is not marked as one and the test fails", () => {
    const { in8, out8, ask } = powerOn();
    out8(COMMAND, 0xd3);
    out8(DATA, 0x5a);
    expect(in8(COMMAND) & 0x21).toBe(0x01);
    in8(DATA);
    expect(ask(0xa9)).toBe(0x01);
  });

  test("turns ports off and on in the command byte", () => {
    const { ask } = powerOn();
    const after = (command: number) => [ask(command), ask(0x20)];
    expect(after(0xae)).toEqual([-1, 0x24]);
    expect(after(0xa8)).toEqual([-1, 0x04]);
    expect(after(0xa7)).toEqual([-1, 0x24]);
    expect(after(0xad)).toEqual([-1, 0x34]);
  });

  test("says of a device that nothing answered, at once, with an interrupt", () => {
    const { bench, in8, out8, ask } = powerOn();
    ask(0x60, 0x45);
    out8(DATA, 0xf2);
    expect([in8(COMMAND) & 0x41, bench.level(1)]).toEqual([0x41, 1]);
    expect(in8(DATA)).toBe(0xfe);
    expect([in8(COMMAND) & 0x41, bench.level(1)]).toEqual([0x00, 0]);
    expect(ask(0xd4, 0xf2)).toBe(0xfe);
  });

  test("resets the machine on a pulse of line 0, and on nothing else", () => {
    const { bench, out8, ask } = powerOn();
    for (const command of [0xf1, 0xff, 0xfd]) out8(COMMAND, command);
    ask(0xd1, 0x03);
    expect(bench.requests).toEqual([]);
    out8(COMMAND, 0xfe);
    expect(bench.requests).toEqual([{ kind: "reset", status: 0 }]);
    ask(0xd1, 0x02);
    expect(bench.requests.length).toBe(2);
  });

  test("forgets a command that waited for its argument when another comes", () => {
    const { out8, ask } = powerOn();
    out8(COMMAND, 0x60);
    expect(ask(0x20)).toBe(0x34);
    out8(DATA, 0x00);
    expect(ask(0x20)).toBe(0x34);
  });
});
