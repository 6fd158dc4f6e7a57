import { expect, test } from "bun:test";
import { thrown } from "../test/scope.ts";
import { open } from "./fd.ts";
import { isSyscallError, SyscallError } from "./syscall-error.ts";
import { E } from "./uapi/errno.ts";

test("carries the call, the error's number and name, and the object", () => {
  const error = thrown(() => open("/nonexistent/file", 0)) as SyscallError;
  expect(error).toBeInstanceOf(SyscallError);
  expect(error).toMatchObject({
    name: "SyscallError",
    message: "open /nonexistent/file: ENOENT (no such file or directory)",
    call: "open",
    errno: E.ENOENT,
    code: "ENOENT",
    object: "/nonexistent/file",
  });
});

test("is told apart by what went wrong", () => {
  const error = thrown(() => open("/nonexistent/file", 0));
  expect(isSyscallError(error, "EACCES", "ENOENT")).toBe(true);
  expect(isSyscallError(error, "EACCES")).toBe(false);
  expect(isSyscallError(Object.assign(new Error("not ours"), { code: "ENOENT" }), "ENOENT")).toBe(false);
});
