import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MainChannel } from "./cpr-state.ts";
import { FdTable } from "./fd-table.ts";
import { takeBackStateFile, writeMain } from "./main-channel.ts";
import { UndoLog } from "./undo-log.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-main-"));
  path = join(folder, "state");
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = () =>
  writeMain(
    { type: "file", path, offset: 0 },
    Uint8Array.of(1, 2, 3),
    new FdTable(),
    new UndoLog(),
  ) as Extract<MainChannel, { type: "file" }>;

describe("a state file that is taken back", () => {
  test("is gone, however often that is done", () => {
    const written = write();
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    for (let i = 0; i < 2; i++) takeBackStateFile(written);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("leaves what it has replaced, however many programs fail in turn", () => {
    writeFileSync(path, "older");
    const written = write();
    for (let i = 0; i < 3; i++) {
      takeBackStateFile(written);
      expect(readFileSync(path, "utf8")).toBe("older");
    }
    expect(readdirSync(folder)).toEqual(["state"]);
  });
});
