import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFds } from "@vmm/libc";
import { newFds } from "@vmm/libc/testing";
import { bzImageFile, elfFile } from "../../test/guest-files.ts";
import { VmmError } from "../vmm-error.ts";
import { imageOf } from "./kernel-image.ts";
import { checkKernelFiles, detect, readKernelFiles } from "./load-kernel.ts";

const CODE = new Uint8Array(32).fill(0x90);
const GOOD = { elf: elfFile({ bits: 64, code: CODE }), bzimage: bzImageFile({ code: CODE }) };
const MIB = 1 << 20;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "load-kernel-"));
  const put = (name: string, bytes: Uint8Array | string) => writeFileSync(join(folder, name), bytes);
  put("elf", GOOD.elf);
  put("bzimage", GOOD.bzimage);
  put("cut.elf", GOOD.elf.subarray(0, 100));
  put("cut.bzimage", GOOD.bzimage.subarray(0, 2000));
  put("empty", "");
  put("text", "#!/bin/sh\necho this is no kernel, though it is long enough to be one\n".repeat(20));
  put("vmlinux.gz", Bun.gzipSync(GOOD.elf));
  put("vmlinux.zst", Bun.zstdCompressSync(GOOD.elf));
  put("initrd", "files");
  put("large", new Uint8Array(64 * MIB));
  mkdirSync(join(folder, "folder"));
  Bun.spawnSync(["mkfifo", join(folder, "pipe")]);
});
afterAll(() => rmSync(folder, { recursive: true }));

test("an ELF file and a bzImage are told apart", () => {
  expect(detect(imageOf("a", GOOD.elf))).toBe("elf");
  expect(detect(imageOf("b", GOOD.bzimage))).toBe("bzimage");
});

test.each(["elf", "bzimage"])("a good %s passes, with an initrd and without, and is read whole", (name) => {
  const kernel = join(folder, name);
  const initrd = join(folder, "initrd");
  checkKernelFiles({ kernel, cmdline: "quiet" });
  checkKernelFiles({ kernel, initrd, cmdline: "quiet" });
  const files = readKernelFiles({ kernel, initrd, cmdline: "quiet" });
  expect(files).toEqual({
    path: kernel,
    kernel: GOOD[name as keyof typeof GOOD],
    initrd: { path: initrd, bytes: new TextEncoder().encode("files") },
    cmdline: "quiet",
  });
});

test("the built-in guest needs no files", () => {
  checkKernelFiles({ guest: "heartbeat" });
});

test.each([
  ["missing", "kernel PATH: no such file"],
  ["folder", "kernel PATH: is a directory; give a file"],
  ["pipe", "kernel PATH: is a pipe; give a file"],
  ["empty", "kernel PATH: is empty"],
  ["text", "kernel PATH: is not a kernel: an ELF file with a PVH note (vmlinux) or a bzImage is needed"],
  ["vmlinux.gz", "kernel PATH: is compressed with gzip; unpack it first"],
  ["vmlinux.zst", "kernel PATH: is compressed with zstd; unpack it first"],
  [
    "cut.elf",
    "kernel PATH: is a truncated ELF file: its program header table ends at byte 176 of a file of 100",
  ],
  ["cut.bzimage", "kernel PATH: is a truncated bzImage: it says it has 2592 bytes and has 2000"],
])("a kernel that is %s gets one line", (name, message) => {
  const kernel = join(folder, name);
  expect(problemOf(() => checkKernelFiles({ kernel, cmdline: "" }))).toBe(message.replace("PATH", kernel));
});

test.each([
  ["missing", "initrd PATH: no such file"],
  ["folder", "initrd PATH: is a directory; give a file"],
  ["empty", "initrd PATH: is empty"],
])("an initrd that is %s gets one line", (name, message) => {
  const boot = { kernel: join(folder, "elf"), initrd: join(folder, name), cmdline: "" };
  expect(problemOf(() => checkKernelFiles(boot))).toBe(message.replace("PATH", boot.initrd));
});

test("what does not fit is found before the VM is made, where its RAM is known", () => {
  const ram = { memoryMap: [{ base: MIB, size: 31 * MIB, type: 1 as const }], lowRamEnd: 32 * MIB };
  const boot = { kernel: join(folder, "elf"), initrd: join(folder, "large"), cmdline: "" };
  checkKernelFiles(boot);
  expect(problemOf(() => checkKernelFiles(boot, ram))).toContain(
    `does not fit: it has ${64 * MIB} bytes and RAM has room for ${31 * MIB - CODE.length}; give the VM more`,
  );
  const small = { memoryMap: [], lowRamEnd: MIB };
  expect(problemOf(() => checkKernelFiles({ ...boot, kernel: join(folder, "bzimage") }, small))).toContain(
    "does not fit in RAM: it needs 0x100000..0x100020",
  );
});

test("a path with control characters is a problem of the path, told in one line", () => {
  const problem = (kernel: string) => problemOf(() => checkKernelFiles({ kernel, cmdline: "" }));
  expect(problem("no\nsuch")).toBe('kernel "no\\nsuch": no such file');
  expect(problem("a\0b")).toStartWith('kernel "a\\u0000b": cannot be opened');
});

test("no file stays open, whatever is found", () => {
  const before = openFds();
  for (const name of ["elf", "text", "folder", "cut.elf"]) {
    try {
      checkKernelFiles({ kernel: join(folder, name), initrd: join(folder, "empty"), cmdline: "" });
    } catch {}
  }
  expect(newFds(before)).toEqual([]);
});

/** The message of the VmmError that the call throws. */
function problemOf(call: () => void): string {
  try {
    call();
  } catch (error) {
    if (error instanceof VmmError && error.code === "kernel-image") return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}
