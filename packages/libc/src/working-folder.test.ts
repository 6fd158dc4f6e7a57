import { expect, test } from "bun:test";
import { mkdtempSync, realpathSync, renameSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, open } from "./fd.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "./uapi/fcntl.ts";
import { fchdir, getcwd } from "./working-folder.ts";

const folder = (path: string) => open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

test("a folder is gone to by fd, whatever it is called by then, and known to be removed", () => {
  const home = folder(".");
  const before = getcwd();
  const path = mkdtempSync(join(realpathSync(tmpdir()), "working-folder-"));
  const fd = folder(path);
  try {
    renameSync(path, `${path}-2`);
    fchdir(fd);
    expect(getcwd()).toBe(`${path}-2`);
    rmdirSync(`${path}-2`);
    expect(getcwd()).toBeUndefined();
    fchdir(home);
    expect(getcwd()).toBe(before as string);
    // one can still be in it
    fchdir(fd);
    expect(getcwd()).toBeUndefined();
  } finally {
    fchdir(home);
    close(home);
    close(fd);
  }
});

test("what is no folder cannot be gone to", () => {
  const fd = open("/dev/null", O_PATH | O_CLOEXEC);
  expect(() => fchdir(fd)).toThrow(`fchdir fd ${fd}: ENOTDIR`);
  close(fd);
});
