import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, O_CLOEXEC, O_RDWR, open } from "@vmm/libc";
import { FdTable } from "./fd-table.ts";
import { forgetReplacedFile, writeMain } from "./main-channel.ts";
import { StateFile } from "./state-file.ts";
import { checkStateTarget } from "./state-target.ts";
import { UndoLog } from "./undo-log.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "vmm-target-")));
  path = join(folder, "state");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const STATE = Buffer.from("a state");

function save(to: string): void {
  const file = new StateFile(to, 0);
  file.append(STATE);
  file.finish(false);
}

test("a state replaces a file, and nothing that is not one", () => {
  const fifo = join(folder, "fifo");
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
  for (const [at, kind] of [
    [fifo, "pipe"],
    [folder, "directory"],
  ] as const) {
    const reason = `cannot save the state to ${at}: it is a ${kind}, not a file`;
    expect(() => save(at)).toThrow(reason);
    expect(() => checkStateTarget(at, 0, [])).toThrow(reason);
    expect(() => checkStateTarget(at, 4096, [])).not.toThrow();
  }
  expect(lstatSync(fifo).isFIFO()).toBe(true);
  writeFileSync(path, "older");
  save(path);
  expect(readFileSync(path)).toEqual(STATE);
  expect(readdirSync(folder).sort()).toEqual(["fifo", "state"]);
});

test("a symlink stays, and what it leads to is replaced; one that leads nowhere is refused", () => {
  const link = join(folder, "link");
  symlinkSync(path, link);
  expect(() => save(link)).toThrow("it is a symlink that leads nowhere");
  writeFileSync(path, "older");
  save(link);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(readFileSync(path)).toEqual(STATE);
});

test("the file with the guest's RAM is refused, by whatever name", () => {
  const link = join(folder, "link");
  writeFileSync(path, "the guest");
  symlinkSync(path, link);
  const fd = open(path, O_RDWR | O_CLOEXEC);
  const ram = [{ name: "ram0", size: 9, shared: true, origin: "backend", address: 0, fd }] as const;
  for (const [at, offset] of [
    [path, 0],
    [path, 4096],
    [link, 0],
  ] as const)
    expect(() => checkStateTarget(at, offset, ram)).toThrow('it holds the guest\'s RAM "ram0"');
  expect(() => checkStateTarget(join(folder, "other"), 0, ram)).not.toThrow();
  close(fd);
});

test("a folder that is not there is told before anything has happened", () => {
  const at = join(folder, "no", "state");
  for (const offset of [0, 4096]) {
    expect(() => checkStateTarget(at, offset, [])).toThrow(
      `cannot save the state to ${at}: there is no folder ${join(folder, "no")}`,
    );
    expect(() => checkStateTarget(path, offset, [])).not.toThrow();
  }
});

test("a state with an offset goes with the file where that was not there before", () => {
  const undo = new UndoLog();
  const write = () => writeMain({ type: "file", path, offset: 4096 }, STATE, new FdTable(), undo);
  expect(write()).toMatchObject({ created: true });
  undo.unwind();
  expect(readdirSync(folder)).toEqual([]);
  new StateFile(path, 4096).abandon();
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(path, "a disk image");
  write();
  new StateFile(path, 4096).abandon();
  undo.unwind();
  expect(readFileSync(path, "utf8")).toStartWith("a disk image");
});

test("a state of an update that is taken back leaves what was there, and one that is done only the state", () => {
  const undo = new UndoLog();
  const write = () => writeMain({ type: "file", path, offset: 0 }, STATE, new FdTable(), undo);
  write();
  expect(readFileSync(path)).toEqual(STATE);
  undo.unwind();
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(path, "older");
  write();
  expect(readFileSync(path)).toEqual(STATE);
  undo.unwind();
  expect(readFileSync(path, "utf8")).toBe("older");
  expect(readdirSync(folder)).toEqual(["state"]);
  forgetReplacedFile(write());
  expect(readFileSync(path)).toEqual(STATE);
  expect(readdirSync(folder)).toEqual(["state"]);
});
