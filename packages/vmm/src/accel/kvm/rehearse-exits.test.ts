import { expect, test } from "bun:test";
import { Bus } from "../../bus/bus.ts";
import { DeviceLock } from "../../device/device-lock.ts";
import { rehearseExits } from "./rehearse-exits.ts";

const PORTS = { write: 0x3f8, read: 0x3fd };

/** Targets that note what was asked of them. */
function recording() {
  const [pio, mmio] = [new Bus("I/O port", 0x10000), new Bus("memory", 2 ** 52)];
  const log: string[] = [];
  const ends: string[] = [];
  const target = {
    read(offset: number, size: number) {
      log.push(`r${size}@${offset}`);
      return 0x60;
    },
    write(offset: number, size: number) {
      log.push(`w${size}@${offset}`);
    },
  };
  pio.claim({ name: "ports", base: 0, size: 0x10000, target });
  const sink = { reset: () => ends.push("reset"), report: () => ends.push("report") };
  const lock = new DeviceLock(new Int32Array(new SharedArrayBuffer(4)), 0);
  let exits = 0;
  const accessed = () => {
    exits++;
  };
  return { targets: { pio, mmio, lock, sink, accessed }, log, ends, exits: () => exits, lock };
}

test("goes to both ports in turns, a byte at a time, and to memory that nobody has", () => {
  const { targets, log, ends, exits, lock } = recording();
  rehearseExits(targets, PORTS);
  expect(log.length).toBeGreaterThan(0);
  const turn = [`r1@${PORTS.read}`, `w1@${PORTS.write}`];
  expect(log).toEqual(Array.from({ length: log.length / 2 }, () => turn).flat());
  expect(exits()).toBe((log.length / 2) * 3);
  expect(ends).toEqual([]);
  // and leaves the lock to the next
  expect(lock.with(() => "free")).toBe("free");
});
