/**
 * Saves the golden states of the present version, from real VMs on this host, into `tests/golden/VERSION/`: the heartbeat
 * guest with its RAM, with 1 and with 2 vCPUs, each caught while it prints. To be run once for each release, as root; see
 * docs/state-format.md.
 *
 * Usage: bun scripts/make-golden.ts [--force]    (--force replaces what is there for this version)
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type DecodedState, decodeState, envelopeLength } from "@vmm/cpr";
import { describeRecord } from "@vmm/cpr/describe";
import { makeConfig, type VmConfig, writeConfig } from "@vmm/vmm/config/index.ts";
import { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { VERSION } from "@vmm/vmm/version.ts";

const ROOT = dirname(import.meta.dir);
const MAIN = join(ROOT, "packages/vmm/src/main.ts");

/** States that are saved until one falls into the middle of a line. */
const TRIES = 500;
/** Ticks that a guest must have printed. */
const TICKS = 5;
const TIMEOUT_MS = 15_000;
const RAM = 32 << 20;

/** States have the VM's configuration in them: its folder is where VMs of root have theirs, not one of this machine's. */
const folderOf = (cpus: number) => `/run/vmm/golden-${cpus}cpu`;

function configFor(cpus: number): VmConfig {
  const place = { name: `golden-${cpus}cpu`, folder: folderOf(cpus) };
  return makeConfig({ guest: "heartbeat", memory: { size: RAM }, cpus }, place);
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

/** What the guest had printed when it was stopped. */
function consoleOf({ records }: DecodedState): string {
  const record = records.find(({ kind }) => kind === "chardev");
  const value = record && describeRecord(record).fields.find(({ name }) => name === "tx")?.value;
  return value?.type === "bytes" ? Buffer.from(value.bytes).toString("latin1").replaceAll("\0", "") : "";
}

/** Stops the guest and saves it with its RAM. */
async function save(client: QmpClient, path: string): Promise<Uint8Array> {
  await client.execute("migrate", { uri: `file:${path}` });
  const status = await until("the end of the migration", async () => {
    const info = (await client.execute("query-migrate")) as { status?: string };
    return ["completed", "failed"].find((end) => end === info.status);
  });
  if (status !== "completed") throw new Error("the state cannot be saved: see what the VMM said above");
  const state = new Uint8Array(readFileSync(path));
  rmSync(path);
  return state;
}

/** Saves a guest, and lets it go on, until it is caught in the middle of a line. */
async function catchPrinting(folder: string): Promise<Uint8Array> {
  const connect = () => QmpClient.connect(join(folder, "qmp.sock")).catch(() => undefined);
  const client = await until("the VM's QMP socket", connect);
  await client.execute("migrate-set-parameters", { mode: "cpr-reboot" });
  for (let i = 0; i < TRIES; i++) {
    const state = await save(client, join(folder, "golden.state"));
    const printed = consoleOf(decodeState(state.subarray(0, envelopeLength(state))));
    if (printed.split("\n").length > TICKS && !printed.endsWith("\n")) return state;
    await client.execute("cont");
    // so that it runs for another time than it is stopped
    await Bun.sleep(Math.random() * 40);
  }
  throw new Error(`none of ${TRIES} states was saved in the middle of a line: run it again`);
}

async function saveGolden(cpus: number): Promise<Uint8Array> {
  const folder = folderOf(cpus);
  if (existsSync(folder)) throw new Error(`${folder} is there already: a VM of this name runs`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const config = join(folder, "config.json");
  writeConfig(config, configFor(cpus));
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
  console.log(`${name}.state.gz: ${state.length} bytes, ${packed.length} packed`);
}
