/**
 * Saves the golden states of the present version, from real VMs on this host, into `tests/golden/VERSION/`: the heartbeat
 * guest with 1 and with 2 vCPUs, each caught while it prints. To be run once for each release, see docs/state-format.md.
 *
 * Usage: bun scripts/make-golden.ts [--force]    (--force replaces what is there for this version)
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type DecodedState, decodeState } from "@vmm/cpr";
import { describeRecord } from "@vmm/cpr/describe";
import type { VmConfig } from "@vmm/vmm/config/vm-config.ts";
import { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { VERSION } from "@vmm/vmm/version.ts";

const ROOT = dirname(import.meta.dir);
const MAIN = join(ROOT, "packages/vmm/src/main.ts");

/** Updates until one falls into the middle of a line. */
const TRIES = 200;
/** Ticks that a guest must have printed. */
const TICKS = 5;
const TIMEOUT_MS = 15_000;
const RAM = 32 << 20;

/** The configuration as the golden file keeps it: of a VM whose folder is where VMs of root have theirs. */
function configFor(cpus: number, folder: string): VmConfig {
  const name = `golden-${cpus}cpu`;
  return {
    name,
    folder: folder || `/run/vmm/${name}`,
    memory: { id: "ram0", backend: "memfd", size: RAM, share: true, prealloc: false },
    cpus,
    accel: ["kvm"],
    machine: { auxRamShare: true },
    boot: { guest: "heartbeat" },
    chardevs: [{ id: "serial0", backend: "console" }],
    devices: [],
    plugins: [],
  };
}

async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${TIMEOUT_MS / 1000} s`);
    await Bun.sleep(10);
  }
}

const connect = (folder: string) =>
  until("the VM's QMP socket", () => QmpClient.connect(join(folder, "qmp.sock")).catch(() => undefined));

/** What the guest had printed when it was stopped. */
function consoleOf({ records }: DecodedState): string {
  const record = records.find(({ kind }) => kind === "chardev");
  const value = record && describeRecord(record).fields.find(({ name }) => name === "tx")?.value;
  return value?.type === "bytes" ? Buffer.from(value.bytes).toString("latin1").replaceAll("\0", "") : "";
}

/** Updates the VM by cpr-exec through a file, and returns the file. */
async function update(folder: string): Promise<Uint8Array> {
  const path = join(folder, "main.state");
  const old = await connect(folder);
  await old.execute("migrate-set-parameters", { mode: "cpr-exec" });
  await old.execute("migrate", { uri: `file:${path}`, "x-preflight": false });
  const status = await until("the end of the update", async () => {
    const client = await connect(folder);
    const info = (await client.execute("query-migrate").catch(() => undefined)) as
      | { status?: string }
      | undefined;
    client.close();
    return ["completed", "failed"].find((end) => end === info?.status);
  });
  old.close();
  if (status !== "completed") throw new Error("the update failed: see what the VMM said above");
  const state = new Uint8Array(readFileSync(path));
  rmSync(path);
  return state;
}

/** Updates a VM until it is caught in the middle of a line. */
async function catchPrinting(folder: string): Promise<Uint8Array> {
  for (let i = 0; i < TRIES; i++) {
    const state = await update(folder);
    const printed = consoleOf(decodeState(state));
    if (printed.split("\n").length > TICKS && !printed.endsWith("\n")) return state;
  }
  throw new Error(`none of ${TRIES} updates fell into the middle of a line: run it again`);
}

async function saveGolden(cpus: number): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "vmm-golden-"));
  const config = join(folder, "config.json");
  writeFileSync(config, JSON.stringify(configFor(cpus, folder)));
  const vmm = Bun.spawn([process.execPath, MAIN, "--config", config], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  try {
    return await catchPrinting(folder);
  } finally {
    vmm.kill("SIGTERM");
    await vmm.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

const target = join(ROOT, "tests/golden", VERSION);
if (existsSync(target) && !process.argv.includes("--force")) {
  console.error(`make-golden: ${target} is there already: raise the version, or give --force`);
  process.exit(2);
}
mkdirSync(target, { recursive: true });
for (const cpus of [1, 2]) {
  const state = await saveGolden(cpus);
  const packed = Bun.gzipSync(state as Uint8Array<ArrayBuffer>, { level: 9 });
  const name = join(target, `heartbeat-${cpus}cpu`);
  writeFileSync(`${name}.state.gz`, packed);
  writeFileSync(`${name}.json`, `${JSON.stringify(configFor(cpus, ""), null, 2)}\n`);
  console.log(`${name}.state.gz: ${state.length} bytes, ${packed.length} packed`);
}
