import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { goldenNames, readGolden } from "../golden/golden-files.ts";
import { Bench, ConsoleWatch, HAS_KVM, until } from "./cli-harness.ts";

const PROGRAM = join(import.meta.dir, "programs/load-golden.ts");

describe.skipIf(!HAS_KVM)("golden states (needs /dev/kvm)", () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  test.each(goldenNames())("%s loads into a real machine, which saves it again as it was", (name) => {
    const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, PROGRAM, name, bench.runtime], {
      timeout: 30_000,
    });
    expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
    const { warnings, saved, again, output } = JSON.parse(stdout.toString());
    expect(Object.keys(saved)).toContain("cpu0/kvm-regs");
    expect(again).toMatchObject(saved);
    expect(output).toMatch(/^tick 0 count 00000000 secret /);
    for (const warning of warnings) expect(warning).toEndWith("keeps its reset value");
  });

  test.each(goldenNames())("%s runs on from the middle of the line in which it was saved", async (name) => {
    const { bytes, config, printed } = readGolden(name);
    const path = join(bench.runtime, "golden.state");
    writeFileSync(path, bytes);
    const options = [
      "--guest",
      "heartbeat",
      "--memory",
      String(config.memory.size),
      "--cpus",
      String(config.cpus),
    ];
    const started = await bench.vmm("start", "--name", "a", ...options, "--incoming", `file:${path}`);
    if (started.exitCode !== 0) {
      // a host may lack what the processor had that it was saved on, and nothing else may stand in the way
      expect(started.stderr).toMatch(/^vmm: .*(cpu\d|CPUID|MSR)/);
      return;
    }
    const console = new ConsoleWatch(bench, "a");
    const goesOn = printed.split("\n").length + 5;
    await until("the history, and ticks after it", () => console.ticks.length > goesOn);
    await console.close();
    expect(console.text.replaceAll("\r", "")).toStartWith(printed.replaceAll("\r", ""));
    expect(console.ticks).toEqual(console.ticks.map((_, i) => i));
    expect(console.secrets).toHaveLength(1);
    expect(console.text).not.toContain("FAULT");
  });
});
