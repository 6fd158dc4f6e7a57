/** States that are not what this VM would have saved: of another VM, or made by somebody who means ill. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DecodedState, encodeState, type JsonObject, SavedFile, type SavedRecord } from "@vmm/cpr";
import { Bench, ConsoleWatch, HAS_KVM, HEARTBEAT, type Result } from "./cli-harness.ts";

setDefaultTimeout(60_000);

const WATCHDOG = join(import.meta.dir, "../../examples/watchdog/ib700.ts");
const MAIN = join(import.meta.dir, "../../packages/vmm/src/main.ts");

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

/** Saves a new VM, and ends it. */
async function save(...options: string[]): Promise<string> {
  await bench.start("a", ...options);
  const path = join(bench.runtime, "a.vm");
  await bench.json("save", "a", path);
  return path;
}

/** The same file with another state, its checksum right again. */
function rewritten(path: string, change: (state: DecodedState) => DecodedState): string {
  const file = new SavedFile(path);
  const ram = readFileSync(path).subarray(file.stateBytes);
  const { header, records } = change(file.state);
  file.close();
  const other = join(bench.runtime, "other.vm");
  writeFileSync(other, Buffer.concat([encodeState(header, records), ram]));
  return other;
}

type Change = (records: readonly SavedRecord[]) => readonly SavedRecord[];

const changed = (path: string, change: Change): string =>
  rewritten(path, ({ header, records }) => ({ header, records: change(records) }));

const configured = (path: string, config: JsonObject): string =>
  rewritten(path, ({ header, records }) => {
    const machine = { ...header.machine, config: { ...(header.machine.config as JsonObject), ...config } };
    return { header: { ...header, machine }, records };
  });

/** Changes the bytes of one record. */
const inRecord =
  (name: string, edit: (data: Buffer) => Uint8Array | undefined): Change =>
  (records) =>
    records.map((record) => {
      if (record.name !== name) return record;
      const data = Buffer.from(record.data);
      return { ...record, fields: [], data: edit(data) ?? data };
    });

function expectRefusal({ exitCode, stderr }: Result, reason: string): void {
  expect([exitCode, stderr]).toEqual([2, expect.stringContaining(reason)]);
  expect(stderr).toMatch(/^vmm: [^\n]+\n$/);
  expect(bench.folders()).toEqual([]);
}

describe.skipIf(!HAS_KVM)("a state of another VM (needs /dev/kvm)", () => {
  test("is refused where the VM that is to go on with it has other vCPUs", async () => {
    const path = await save("--cpus", "2");
    const start = (cpus: string) =>
      bench.vmm("start", "--name", "b", ...HEARTBEAT, "--cpus", cpus, "--incoming", `file:${path}`);
    expectRefusal(await start("1"), "the state is of a VM with 2 vCPUs, and this one has 1");
    expectRefusal(await start("3"), "the state is of a VM with 2 vCPUs, and this one has 3");
  });

  test("is refused where it has a record of KVM's that nobody here would load", async () => {
    const path = changed(await save(), (records) => [
      ...records,
      { ...(records.find(({ name }) => name === "cpu0/kvm-regs") as SavedRecord), name: "cpu0/kvm-new" },
    ]);
    expectRefusal(await bench.vmm("restore", path), 'saved record "cpu0/kvm-new" is not part of a VM');
  });

  test("goes on with a warning where it lacks a device's record", async () => {
    const path = changed(await save(), (records) => records.filter(({ name }) => name !== "port92"));
    const warning = '"port92" is not in the saved state: it keeps its reset value';
    const { exitCode, stderr } = await bench.vmm("restore", path);
    expect([exitCode, stderr]).toEqual([0, `vmm: warning: ${warning}\n`]);
    expect(await bench.json("restore", path, "--name", "b")).toMatchObject({ warnings: [warning] });
    const third = ["start", "--name", "c", ...HEARTBEAT, "--incoming", `file:${path}`];
    expect((await bench.vmm(...third)).stderr).toContain(warning);
  });

  test("does nothing to the terminal of the VM's own process", async () => {
    const path = changed(await save(), (records) => [
      ...records,
      { ...(records[0] as SavedRecord), name: "\x1b[31mred\x07" },
    ]);
    const { exitCode, stderr } = await bench.vmm("restore", path, "--foreground");
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('saved record "')]);
    expect(stderr).not.toMatch(/(?!\n)\p{Cc}/u);
  });

  test.each([
    ["more MSRs than there are", "cpu0/kvm-msrs", (data: Buffer) => void data.writeUInt32LE(0xffffffff)],
    ["no room for MSRs", "cpu0/kvm-msrs", () => new Uint8Array(2)],
    ["more of a CPUID than there is", "cpu0/kvm-cpuid", (data: Buffer) => void data.writeUInt32LE(4000)],
    ["no room for a CPUID", "cpu0/kvm-cpuid", () => new Uint8Array(2)],
    [
      "one interrupt chip in place of another",
      "vm/kvm-pic-slave",
      (data: Buffer) => void data.writeUInt32LE(2),
    ],
  ])("is refused where KVM would be given %s", async (_, name, edit) => {
    expectRefusal(
      await bench.vmm("restore", changed(await save(), inRecord(name, edit))),
      `record "${name}"`,
    );
  });

  test("is told in an update that nobody checked before, and the guest runs on", async () => {
    const { folder, pid } = await bench.start("a", "--cpus", "2");
    const console = new ConsoleWatch(bench, "a");
    await console.more();
    const other = join(bench.runtime, "other.json");
    const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    const command = [process.execPath, MAIN, "--config", other];
    for (const cpus of [1, 3]) {
      writeFileSync(other, JSON.stringify({ ...config, cpus }));
      const failed = await bench.vmm("migrate", "--cpr-exec", "--no-preflight", "a", "--", ...command);
      const reason = `the state is of a VM with 2 vCPUs, and this one has ${cpus}`;
      expect([failed.exitCode, failed.stderr]).toEqual([1, expect.stringContaining(reason)]);
      expect(await bench.json("status", "a")).toMatchObject({ pid, status: "running" });
    }
    await console.more();
  });
});

describe.skipIf(!HAS_KVM)("a saved VM from somebody else (needs /dev/kvm)", () => {
  test.each<[JsonObject, string]>([
    [{ cpus: 0 }, "not a number of vCPUs"],
    [{ cpus: 1.5 }, "cpus: "],
    [{ memory: {} }, "ram0"],
    [{ machine: null }, "machine: "],
    [{ accel: 7 }, "accel: "],
    [{ boot: null }, "boot: "],
    [{ devices: [null] }, "devices.0: "],
    [{ name: "../x" }, "cannot be a VM's name"],
  ])("is refused where its configuration makes no sense: %j", async (config, reason) => {
    expectRefusal(await bench.vmm("restore", configured(await save(), config)), reason);
  });

  test("has no plug-in run that the user did not name", async () => {
    const [module, trace] = [join(bench.runtime, "it's.ts"), join(bench.runtime, "it ran")];
    writeFileSync(module, `await Bun.write(${JSON.stringify(trace)}, "");`);
    const path = configured(await save(), { plugins: [module] });
    expectRefusal(
      await bench.vmm("restore", path),
      `none runs unless you name it: add --plugin '${module.replace("'", "'\\''")}'`,
    );
    expect(existsSync(trace)).toBe(false);
  });

  test("goes on with its devices where the user names the plug-ins", async () => {
    const path = await save("--plugin", WATCHDOG, "--device", "ib700,id=dog");
    expectRefusal(await bench.vmm("restore", path), `add --plugin ${WATCHDOG}\n`);
    await bench.json("restore", path, "--plugin", WATCHDOG);
    const console = new ConsoleWatch(bench, "a");
    await console.more(2);
    expect(await bench.json("migrate", "--cpr-exec", "a")).toMatchObject({ status: "completed" });
    await console.more();
  });
});

test("a VM whose configuration is damaged hides no other in vmm ls", async () => {
  for (const [name, config] of [
    ["a", '{"format":1,"boot":null,"memory":null}'],
    ["b", '{"format":1,"cpus":1,"memory":{"size":4096},"accel":["kvm"],"boot":{"guest":"heartbeat"}}'],
    ["c", '{"format":1,"cpus":{},"memory":{"size":{}},"accel":["kvm"],"boot":{"kernel":{}}}'],
  ] as const) {
    const folder = join(bench.runtime, "vmm", name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, "lock"), "");
    writeFileSync(join(folder, "config.json"), config);
  }
  const { stdout, exitCode } = await bench.vmm("ls");
  expect(exitCode).toBe(0);
  expect(stdout.trim().split("\n").slice(1)).toEqual([
    expect.stringMatching(/^a +- +dead/),
    expect.stringMatching(/^b +- +dead +1 +4K +kvm +guest heartbeat/),
    expect.stringMatching(/^c +- +dead/),
  ]);
});
