import { expect, test } from "bun:test";
import { CodeBuffer } from "./code-buffer.ts";

/** The branches of a processor with one-byte opcodes: 0x70 near, 0x90 far. */
class Code extends CodeBuffer {
  branchTo(label: string): void {
    this.branch(label, 0x70, [0x90]);
  }
}

const bytesOf = (code: CodeBuffer): number[] => [...code.assemble()];

test("words are little-endian and labels stand for addresses", () => {
  const code = new Code(0x1000);
  code.byte(0x101, -1);
  code.word(0x1234);
  code.dword(0xfee00020);
  code.word("end");
  code.dword("end");
  code.label("end");
  expect(code.addressOf("end")).toBe(0x100e);
  expect(bytesOf(code)).toEqual([1, 0xff, 0x34, 0x12, 0x20, 0, 0xe0, 0xfe, 0x0e, 0x10, 0x0e, 0x10, 0, 0]);
});

test("a branch is short as long as its target is near, either way", () => {
  const code = new Code(0);
  code.label("start");
  code.branchTo("end");
  code.branchTo("start");
  code.label("end");
  expect(bytesOf(code)).toEqual([0x70, 2, 0x70, 0x100 - 4]);
});

test.each([
  [127, [0x70, 127]],
  [128, [0x90, 128, 0, 0, 0]],
])("a branch over %d bytes is encoded as %p", (distance, expected) => {
  const code = new Code(0x8000);
  code.branchTo("end");
  for (let i = 0; i < distance; i++) code.byte(0);
  code.label("end");
  expect(bytesOf(code).slice(0, expected.length)).toEqual(expected);
});

test("a branch that grows pushes another one's target out of reach", () => {
  const code = new Code(0);
  code.branchTo("first"); // just in reach while the next one is short
  code.branchTo("second");
  for (let i = 0; i < 125; i++) code.byte(0);
  code.label("first");
  for (let i = 0; i < 10; i++) code.byte(0);
  code.label("second");
  const bytes = bytesOf(code);
  expect(bytes.slice(0, 10)).toEqual([0x90, 130, 0, 0, 0, 0x90, 135, 0, 0, 0]);
  expect(bytes.length).toBe(10 + 125 + 10);
});

test("aligning counts from the origin, and again after branches have grown", () => {
  const code = new Code(0x8004);
  code.branchTo("end");
  code.align(16);
  code.label("aligned");
  for (let i = 0; i < 200; i++) code.byte(0);
  code.label("end");
  expect(code.addressOf("aligned")).toBe(0x8014);
});

test("a text ends in a zero", () => {
  const code = new Code(0);
  code.text("é!");
  expect(bytesOf(code)).toEqual([0xc3, 0xa9, 0x21, 0]);
});

test("a label that is missing or there twice is an error that names it", () => {
  const code = new Code(0);
  code.label("here");
  expect(() => code.label("here")).toThrow("label here is there twice");
  code.branchTo("nowhere");
  expect(() => code.assemble()).toThrow("no label nowhere");
});
