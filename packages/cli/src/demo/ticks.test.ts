import { expect, test } from "bun:test";
import { faultIn, parseTick, type Tick, TickReader } from "./ticks.ts";

const tick = (n: number, count: number, secret = "b0ded5e2"): Tick => ({ n, count, secret, line: "" });

test("a tick line is taken apart, and any other line is none", () => {
  expect(parseTick("tick 3 count 0001df21 secret b0ded5e2 input .\r")).toEqual({
    n: 3,
    count: 0x1df21,
    secret: "b0ded5e2",
    line: "tick 3 count 0001df21 secret b0ded5e2 input .",
  });
  expect(parseTick("tick 3")).toBeUndefined();
});

test("ticks that follow each other are faultless, also where the count wraps", () => {
  expect(faultIn([tick(0, 0xfffffff0), tick(1, 5), tick(2, 6)])).toBeUndefined();
});

test("a tick that is lost or repeated, another secret and a count that goes back are told", () => {
  expect(faultIn([tick(0, 1), tick(2, 2)])).toBe("tick 0 was followed by tick 2");
  expect(faultIn([tick(1, 1), tick(1, 2)])).toBe("tick 1 was followed by tick 1");
  expect(faultIn([tick(0, 1), tick(1, 2, "00000000")])).toContain("the secret changed");
  expect(faultIn([tick(0, 9), tick(1, 2)])).toBe("the count went back at tick 1");
});

test("ticks are read from bytes however they are cut", async () => {
  const seen: number[] = [];
  const reader = new TickReader(({ n }) => seen.push(n));
  const bytes = new TextEncoder().encode(
    "boot\r\ntick 0 count 00000000 secret b0ded5e2\r\ntick 1 count 00000001 secret b0ded5e2\r\n",
  );
  const wanted = reader.more(2, 1000);
  for (const byte of bytes) reader.push(Uint8Array.of(byte));
  await wanted;
  expect(seen).toEqual([0, 1]);
  expect(reader.more(1, 10)).rejects.toThrow("the guest has not ticked 1 times");
});
