import { expect, test } from "bun:test";
import { fdScope } from "../test/scope.ts";
import { errno } from "./errno.ts";
import { pipe } from "./fd.ts";
import { writeAll } from "./io.ts";
import { ioctl, ioctlRaw } from "./ioctl.ts";
import { _IO, _IOR } from "./ioctl-number.ts";
import { i32, struct } from "./layout.ts";
import { addressOf } from "./memory.ts";
import { E } from "./uapi/errno.ts";

/** FIONREAD (`asm/ioctls.h`), which predates the encoding: how many bytes there are to read. */
const FIONREAD = { name: "FIONREAD", number: 0x541b };

test("the argument may be bytes, a structure, or an address", () => {
  using fds = fdScope();
  const [reader, writer] = fds.ownAll(pipe());
  writeAll(writer, new Uint8Array(123));

  const bytes = new Int32Array(1);
  expect(ioctl(reader, FIONREAD, bytes)).toBe(0);
  expect(bytes[0]).toBe(123);

  const count = struct("count", { pad: i32, value: i32 }).alloc();
  ioctl(reader, FIONREAD, count.$bytes.subarray(4));
  expect(count).toMatchObject({ pad: 0, value: 123 });
  ioctl(reader, FIONREAD, count);
  expect(count.pad).toBe(123);

  const stable = new Int32Array(new ArrayBuffer(4));
  ioctl(reader, FIONREAD, BigInt(addressOf(stable)));
  expect(stable[0]).toBe(123);
  stable[0] = 0;
  expect(ioctlRaw(reader, FIONREAD.number, addressOf(stable))).toBe(0);
  expect(stable[0]).toBe(123);
});

test("a failure names the request and the fd", () => {
  using fds = fdScope();
  const [reader] = fds.ownAll(pipe());
  const request = _IO("KVM_CREATE_VM", 0xae, 1);
  expect(() => ioctl(reader, request)).toThrow(`ioctl KVM_CREATE_VM on fd ${reader}: ENOTTY`);
});

test("ioctlRaw gives -1 and leaves the reason in errno", () => {
  expect(ioctlRaw(-1, 0xae80, 0)).toBe(-1);
  expect(errno()).toBe(E.EBADF);
});

test("an argument too large for a request's 14 bits is refused", () => {
  expect(_IOR("fits", 0, 0, { size: 16_383 }).number).toBe(0xbfff_0000);
  expect(() => _IOR("big", 0, 0, { size: 16_384 })).toThrow("big: an argument of 16384 bytes");
});
