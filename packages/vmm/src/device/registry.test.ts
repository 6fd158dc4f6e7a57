import { expect, test } from "bun:test";
import type { DeviceDriver } from "./device.ts";
import { findDriver, registerDriver } from "./registry.ts";

const driver = (name: string): DeviceDriver => ({ name, create: (_context, { id }) => ({ id }) });

test("a driver is found by its name once it is registered", () => {
  const mine = driver("registry-test-a");
  registerDriver(mine);
  expect(findDriver("registry-test-a")).toBe(mine);
});

test("a driver's name can be taken only once", () => {
  registerDriver(driver("registry-test-b"));
  expect(() => registerDriver(driver("registry-test-b"))).toThrow(/"registry-test-b" is registered twice/);
});

test("an unknown driver is refused with a list of those there are", () => {
  registerDriver(driver("registry-test-c"));
  expect(() => findDriver("nonesuch")).toThrow(/no device driver "nonesuch"; known are: .*registry-test-c/);
});
