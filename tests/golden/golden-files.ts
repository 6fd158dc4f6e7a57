/** The golden files: states that released versions saved, with the guest's RAM. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DecodedState, decodeState, envelopeLength } from "@vmm/cpr";
import { describeRecord } from "@vmm/cpr/describe";
import type { VmConfig } from "@vmm/vmm/config/vm-config.ts";

export interface GoldenFile {
  /** Such as `0.1.0/heartbeat-1cpu`. */
  readonly name: string;
  /** The version that saved it. */
  readonly version: string;
  /** Of the VM, as the state has it. */
  readonly config: VmConfig;
  readonly state: DecodedState;
  /** All of the file, unpacked: the state, and the RAM behind it from `ramAt` on. */
  readonly bytes: Uint8Array;
  readonly ramAt: number;
  /** What the guest had printed. */
  readonly printed: string;
}

const FOLDER = import.meta.dir;
const ENDING = ".state.gz";

export function readGolden(name: string): GoldenFile {
  const [version = ""] = name.split("/");
  const bytes = Bun.gunzipSync(readFileSync(join(FOLDER, name + ENDING)));
  const ramAt = envelopeLength(bytes);
  const state = decodeState(bytes.subarray(0, ramAt));
  const config = state.header.machine.config as unknown as VmConfig;
  return { name, version, config, state, bytes, ramAt, printed: consoleOf(state) };
}

/** The output in a state's console, whose ring has not gone round. */
function consoleOf({ records }: DecodedState): string {
  const record = records.find(({ kind }) => kind === "chardev");
  const values = new Map(record && describeRecord(record).fields.map(({ name, value }) => [name, value]));
  const [tx, written] = [values.get("tx"), values.get("written")];
  if (tx?.type !== "bytes" || written?.type !== "integer") throw new Error("the state has no console");
  return Buffer.from(tx.bytes.subarray(0, Number(written.value))).toString("latin1");
}

/** All of them, the oldest version first. */
export function goldenNames(): string[] {
  const files = readdirSync(FOLDER, { recursive: true }) as string[];
  const names = files.filter((file) => file.endsWith(ENDING)).map((file) => file.slice(0, -ENDING.length));
  return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}
