import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { goldenNames } from "../golden/golden-files.ts";
import { HAS_KVM } from "./cli-harness.ts";

const PROGRAM = join(import.meta.dir, "programs/load-golden.ts");

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vmm-golden-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!HAS_KVM)("golden states (needs /dev/kvm)", () => {
  test.each(goldenNames())("%s loads into a real machine, which saves it again as it was", (name) => {
    const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, PROGRAM, name, folder], {
      timeout: 30_000,
    });
    expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
    const { warnings, saved, again, output } = JSON.parse(stdout.toString());
    expect(Object.keys(saved)).toContain("cpu0/kvm-regs");
    expect(again).toMatchObject(saved);
    expect(output).toMatch(/^tick 0 count 00000000 secret /);
    for (const warning of warnings) expect(warning).toEndWith("keeps its reset value");
  });
});
