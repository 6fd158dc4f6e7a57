import { afterEach, expect, test } from "bun:test";
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpioArchive, S_IFDIR, S_IFLNK, S_IFREG } from "./cpio.ts";
import { labSkipReason } from "./lab.ts";

const skip = labSkipReason();

let folder: string | undefined;
afterEach(() => {
  if (folder) rmSync(folder, { recursive: true });
  folder = undefined;
});

test("a member has its header, name and data where the format puts them", () => {
  const archive = cpioArchive([{ path: "a", mode: S_IFREG | 0o644, data: Buffer.from("hello") }]).toString();
  const header =
    "070701000000010000" + // magic, inode, half of the mode
    "81a4000000000000000000000001000000000000000500000000000000000000000000000000" +
    "0000000200000000";
  expect(archive.slice(0, 110)).toBe(header);
  expect(archive.slice(110, 120)).toBe("a\0hello\0\0\0");
  expect(archive.length % 4).toBe(0);
  expect(archive).toContain("TRAILER!!!\0");
});

test.skipIf(skip !== undefined)(`busybox unpacks what we pack${skip ? ` (${skip})` : ""}`, () => {
  folder = mkdtempSync(join(tmpdir(), "vmm-cpio-"));
  const archive = cpioArchive([
    { path: "d", mode: S_IFDIR | 0o755 },
    { path: "d/file", mode: S_IFREG | 0o640, data: Buffer.from("twelve bytes") },
    { path: "d/empty", mode: S_IFREG | 0o600 },
    { path: "link", mode: S_IFLNK | 0o777, data: Buffer.from("d/file") },
  ]);
  const { exitCode } = Bun.spawnSync(["/bin/busybox", "cpio", "-i"], { cwd: folder, stdin: archive });
  expect(exitCode).toBe(0);
  expect(readFileSync(join(folder, "d/file"), "utf8")).toBe("twelve bytes");
  expect(lstatSync(join(folder, "d/file")).mode).toBe(S_IFREG | 0o640);
  expect(lstatSync(join(folder, "d/empty")).size).toBe(0);
  expect(readlinkSync(join(folder, "link"))).toBe("d/file");
});
