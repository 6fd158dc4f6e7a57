/** The golden files: states that released versions saved, each with the configuration of its VM. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DecodedState, decodeState } from "@vmm/cpr";
import type { VmConfig } from "@vmm/vmm/config/vm-config.ts";

export interface GoldenFile {
  /** Such as `0.1.0/heartbeat-1cpu`. */
  readonly name: string;
  /** The version that saved it. */
  readonly version: string;
  readonly config: VmConfig;
  readonly state: DecodedState;
}

const FOLDER = import.meta.dir;
const ENDING = ".state.gz";

export function readGolden(name: string): GoldenFile {
  const path = join(FOLDER, name);
  const [version = ""] = name.split("/");
  const config = JSON.parse(readFileSync(`${path}.json`, "utf8")) as VmConfig;
  return { name, version, config, state: decodeState(Bun.gunzipSync(readFileSync(path + ENDING))) };
}

/** All of them, the oldest version first. */
export function goldenNames(): string[] {
  const files = readdirSync(FOLDER, { recursive: true }) as string[];
  const names = files.filter((file) => file.endsWith(ENDING)).map((file) => file.slice(0, -ENDING.length));
  return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}
