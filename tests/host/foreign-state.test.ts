/** States that are not what this VM would have saved: of another VM, or made by somebody who means ill. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeState, SavedFile, type SavedRecord } from "@vmm/cpr";
import { Bench, ConsoleWatch, HAS_KVM, HEARTBEAT, type Result } from "./cli-harness.ts";

setDefaultTimeout(60_000);

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

type Change = (records: SavedRecord[]) => readonly SavedRecord[];

/** The same file with other records, its checksum right again. */
function changed(path: string, change: Change): string {
  const file = new SavedFile(path);
  const { header, records } = file.state;
  const copies = records.map((record) => ({ ...record, data: new Uint8Array(record.data) }));
  const ram = readFileSync(path).subarray(file.stateBytes);
  file.close();
  const other = join(bench.runtime, "other.vm");
  writeFileSync(other, Buffer.concat([encodeState(header, change(copies)), ram]));
  return other;
}

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
