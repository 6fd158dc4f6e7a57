import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SavedFile } from "./file/saved-file.ts";
import { readStateFile } from "./main-channel.ts";

test("a pipe that nobody writes to is no saved state, and neither is a folder: both are refused at once", () => {
  const folder = mkdtempSync(join(tmpdir(), "vmm-open-"));
  try {
    const fifo = join(folder, "fifo");
    expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
    const reason = `cannot read the state in ${fifo}: that is a pipe, not a file`;
    expect(() => new SavedFile(fifo)).toThrow(reason);
    expect(() => readStateFile(fifo)).toThrow(reason);
    expect(() => readStateFile(fifo, 4096)).toThrow(reason);
    expect(() => new SavedFile(folder)).toThrow(`cannot read the state in ${folder}: that is a folder`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
