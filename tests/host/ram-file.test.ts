/** RAM in a file of its own, with real VMs: whose it is, and what a guest that comes from a saved state finds in it. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync, readFileSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Bench, ConsoleWatch, HAS_KVM } from "./cli-harness.ts";

setDefaultTimeout(120_000);

const WAS_USED = "was left in place, and is not what it was";
const MIB = 2 ** 20;

let bench: Bench;
let ram = "";
let path = "";
beforeEach(() => {
  bench = new Bench();
  ram = join(bench.runtime, "ram");
  path = join(bench.runtime, "a.vm");
});
afterEach(() => bench.close());

const start = (name: string, more = "") =>
  bench.vmm(
    ...["start", "--name", name, "--guest", "heartbeat"],
    ...["--memory", `size=16M,backend=file,path=${ram}${more}`],
  );

/** Starts a VM with its RAM in the file, and waits for its first tick. */
async function startInFile(): Promise<ConsoleWatch> {
  expect(await start("a")).toMatchObject({ stderr: "", exitCode: 0 });
  const console = new ConsoleWatch(bench, "a");
  await console.more();
  return console;
}

/** Writes a byte into the file. Returns the one that was there. */
function changeFile(offset: number): number {
  const fd = openSync(ram, "r+");
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Buffer.of(0x5a), 0, 1, offset);
  closeSync(fd);
  return byte[0] as number;
}

/** A command that must fail, with one line that says this. */
async function expectRefused(reason: string, ...words: string[]): Promise<void> {
  const { stderr, exitCode } = await bench.vmm(...words);
  expect(stderr).toContain(reason);
  expect(stderr).toMatch(/^vmm: [^\n]+\n$/);
  expect(exitCode).toBe(2);
}

/** No tick lost, none repeated, and one secret. */
function expectFaultless({ ticks, secrets }: ConsoleWatch): void {
  expect(ticks).toEqual(ticks.map((_, i) => i));
  expect(secrets).toHaveLength(1);
}

describe.skipIf(!HAS_KVM)("a file with RAM (needs /dev/kvm)", () => {
  test("is one VM's alone for its life, through updates of both kinds, whoever else wants it", async () => {
    const console = await startInFile();
    await bench.json("save", "--cont", "a", path);
    const own = await bench.vmm("save", "--cont", "a", ram);
    expect([own.exitCode, own.stderr]).toEqual([1, expect.stringContaining("it holds the guest's RAM")]);
    const inUse = `another VM uses ${ram}: end that VM first`;
    for (const update of [undefined, "--cpr-exec", "--cpr-transfer"]) {
      if (update) expect(await bench.json("migrate", update, "a")).toMatchObject({ status: "completed" });
      const { stderr, exitCode } = await start("b");
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(inUse)]);
      await expectRefused(inUse, "restore", path, "--name", "b");
      expect(bench.folders()).toEqual(["a"]);
      await console.more();
    }
    expectFaultless(console);
    await bench.vmm("quit", "a");
    await bench.json("restore", path, "--name", "b");
    const next = new ConsoleWatch(bench, "b");
    await next.more();
    expect(next.secrets).toEqual(console.secrets);
  });

  test("holds what was saved and nothing else, once a guest was restored into it", async () => {
    const console = await startInFile();
    await bench.json("save", "a", path);
    expect(changeFile(9 * MIB)).toBe(0);
    await bench.json("restore", path);
    const next = new ConsoleWatch(bench, "a");
    await next.more();
    expect(next.secrets).toEqual(console.secrets);
    expect(readFileSync(ram)[9 * MIB]).toBe(0);
  });

  test("left in place is found again after a restore that failed, and not after one that went well", async () => {
    expect(await start("a", ",prealloc=on")).toMatchObject({ stderr: "", exitCode: 0 });
    await bench.json("save", "--in-place", "a", path);
    const { stderr } = await bench.vmm(
      ...["start", "--name", "a", "--guest", "heartbeat", "--cpus", "2", "--incoming", `file:${path}`],
      ...["--memory", `size=16M,backend=file,path=${ram},prealloc=on`],
    );
    expect(stderr).toContain("the state is of a VM with 1 vCPU, and this one has 2");
    await bench.json("restore", path);
    await bench.vmm("quit", "a");
    await expectRefused(WAS_USED, "restore", path);
  });

  test("left in place is not taken for what it was where anything in it was changed", async () => {
    await startInFile();
    await bench.json("save", "--in-place", "a", path);
    expect(changeFile(9 * MIB)).toBe(0);
    await expectRefused(WAS_USED, "restore", path);
  });

  test("left in place is used up once its guest goes on, even if it changes little", async () => {
    await startInFile();
    await expectRefused("not with --cont", "save", "--cont", "--in-place", "a", path);
    await bench.json("save", "--keep", "--in-place", "a", path);
    const before = statSync(ram, { bigint: true }).mtimeNs;
    await bench.vmm("cont", "a");
    expect(statSync(ram, { bigint: true }).mtimeNs).toBeGreaterThan(before);
    await bench.vmm("quit", "a");
    await expectRefused(WAS_USED, "restore", path);
  });
});
