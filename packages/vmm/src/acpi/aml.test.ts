import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { buffer, device, eisaId, integer, name, packageOf, path, scope, string } from "./aml.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Reads a package length as section 20.2.4 says. */
function readLength(bytes: Uint8Array, at: number): { length: number; size: number } {
  const lead = bytes[at] as number;
  const more = lead >> 6;
  if (more === 0) return { length: lead & 0x3f, size: 1 };
  let length = lead & 0x0f;
  for (let i = 1; i <= more; i++) length |= (bytes[at + i] as number) << (8 * i - 4);
  return { length, size: 1 + more };
}

describe("AML", () => {
  test("takes the shortest form of an integer", () => {
    expect(
      [0, 1, 2, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff, 0x100000000].map((i) => hex(integer(i))),
    ).toEqual([
      "00",
      "01",
      "0a02",
      "0aff",
      "0b0001",
      "0bffff",
      "0c00000100",
      "0cffffffff",
      "0e0000000001000000",
    ]);
  });

  test("pads name segments and counts them", () => {
    expect(hex(path("_S5"))).toBe(hex(Buffer.from("_S5_")));
    expect(hex(path("\\_SB"))).toBe(hex(Buffer.from("\\_SB_")));
    expect(hex(path("\\_SB.PCI0"))).toBe(hex(Buffer.from("\\._SB_PCI0")));
    expect(hex(path("A.B.C"))).toBe(hex(Buffer.from("/\u0003A___B___C___")));
    expect(hex(path("\\"))).toBe("5c00");
  });

  test("refuses names, ids and integers that are none", () => {
    for (const bad of ["TOOLONG", "1ST", "com1", "A.B-C"]) expect(() => path(bad)).toThrow(RangeError);
    for (const bad of ["PNP05011", "pnp0501", "PN00501"]) expect(() => eisaId(bad)).toThrow(RangeError);
    for (const bad of [-1, 1.5, 2 ** 53]) expect(() => integer(bad)).toThrow(RangeError);
  });

  test("packs EISA ids as the specification's example", () => {
    expect(hex(eisaId("PNP0501"))).toBe("0c41d00501");
    expect(hex(eisaId("PNP0B00"))).toBe("0c41d00b00");
  });

  test("says the length of any package so that a parser finds its end", () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(80), fc.nat(5000), fc.constantFrom(4089, 4090, 4091, 70_000)), (size) => {
        const term = buffer(new Uint8Array(size));
        const { length, size: own } = readLength(term, 1);
        expect(1 + length).toBe(term.length);
        expect(hex(term.subarray(1 + own, 1 + own + integer(size).length))).toBe(hex(integer(size)));
      }),
    );
  });

  test("nests terms", () => {
    const term = scope("\\_SB", device("DEV", name("_UID", integer(1)), name("TEXT", string("hi"))));
    expect(hex(term)).toBe(
      [
        "10",
        "1c",
        hex(Buffer.from("\\_SB_")),
        "5b82",
        "14",
        hex(Buffer.from("DEV_")),
        "08",
        hex(Buffer.from("_UID")),
        "01",
        "08",
        hex(Buffer.from("TEXT")),
        "0d686900",
      ].join(""),
    );
  });

  test("counts the elements of a package", () => {
    expect(hex(packageOf(integer(5), integer(0)))).toBe("12" + "05" + "02" + "0a05" + "00");
  });
});
