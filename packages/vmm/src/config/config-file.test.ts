import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig, writeConfig } from "./config-file.ts";
import { makeConfig } from "./vm-options.ts";

let path = "";
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), "vmm-config-")), "config.json");
});
afterEach(() => rmSync(join(path, ".."), { recursive: true, force: true }));

test("a configuration reads back as it was written, and is private", () => {
  const config = makeConfig({ guest: "heartbeat", cpus: 2 }, { name: "a", folder: "/run/vmm/a" });
  writeConfig(path, config);
  expect(readConfig(path)).toEqual(config);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a file that is missing, cut short, not a configuration or of another format is refused", () => {
  expect(() => readConfig(path)).toThrow("cannot be read");
  for (const [text, reason] of [
    ['{"format": 1, "na', "cannot be read"],
    ["[]", "is not one"],
    ["null", "is not one"],
    ['{"format": 2}', "has format 2"],
  ] as const) {
    writeFileSync(path, text);
    expect(() => readConfig(path)).toThrow(reason);
  }
});
