import { describe, expect, test } from "bun:test";
import { kvmCases, withoutKvm } from "../../../test/kvm-cases.ts";
import type * as Msrs from "../../../test/kvm-msrs.ts";
import { msrBlock } from "./msrs.ts";

const msrs = kvmCases<typeof Msrs>("kvm-msrs.ts");

test("a block of MSRs is the count, the indices and no values", () => {
  const block = msrBlock([0x174, 0xc0000080]);
  const words = [...new Uint32Array(block.buffer)];
  expect(words).toEqual([2, 0, 0x174, 0, 0, 0, 0xc0000080, 0, 0, 0]);
});

describe.skipIf(withoutKvm !== undefined)("MSRs of a vCPU (needs /dev/kvm)", () => {
  test("those that KVM takes are written although others are refused, and the refused ones are named", async () => {
    expect(await msrs("refusals")).toEqual({
      // the one that does not exist held zero: nothing is lost
      refused: [0xc0000080],
      blockKept: true,
      eferKept: true,
      read: ["0x55", "0x1234", "0x5678"] as unknown as bigint[],
      again: [],
      none: [],
    });
  });

  test("memory types and machine check banks are part of the state, though KVM lists neither", async () => {
    expect(await msrs("kept")).toEqual({ refused: [], lost: [] });
  });

  test("more of them than KVM takes at once are read and written in parts", async () => {
    expect(await msrs("many")).toEqual({
      refused: [0xc0000080],
      count: 600,
      last: [597, 598, 599],
      readable: 1200,
    });
  });

  test("a list of calls that loads them tells that KVM took a part of them", async () => {
    const refused = { part: false, last: false, none: false, later: false };
    expect(await msrs("inOneList")).toEqual({ whole: true, ...refused });
  });

  test("only those that can be read belong to the state; the TSC deadline is the last", async () => {
    const { count, ...rest } = await msrs("readable");
    expect(count).toBeGreaterThan(10);
    expect(rest).toEqual({ hasTsc: false, last: 0x6e0, leftOut: true, twice: true });
  });
});
