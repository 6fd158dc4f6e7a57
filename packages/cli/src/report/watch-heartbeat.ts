/** Watching the count of a heartbeat guest in its RAM, from outside, while something else is done in this process. */
import { readdirSync, readlinkSync } from "node:fs";
import { close, monotonicNs, O_CLOEXEC, O_RDONLY, open, pread, usleep } from "@vmm/libc";
import { HEARTBEAT } from "@vmm/vmm/boot/heartbeat/map.ts";
import type { VmConfig } from "@vmm/vmm/config/vm-config.ts";
import type { HeartbeatSample } from "./data.ts";

/** µs between two looks. */
const PAUSE_US = 120;
/** More are thinned out: every other one is kept, and of the next ones too. */
const MAX_SAMPLES = 32_768;

/** A path by which the file of a VM's RAM can be opened; `undefined` where there is none, or it is not this guest. */
export function heartbeatRam({ boot, memory }: VmConfig, pid: number | undefined): string | undefined {
  if (!("guest" in boot) || boot.guest !== "heartbeat" || pid === undefined) return undefined;
  const folder = `/proc/${pid}/fd`;
  const wanted = memory.backend === "file" ? memory.path : `/memfd:${memory.id} (deleted)`;
  const fd = orNothing(() => readdirSync(folder))?.find(
    (name) => orNothing(() => readlinkSync(`${folder}/${name}`)) === wanted,
  );
  return fd && `${folder}/${fd}`;
}

/** The process is not ours to look into, or is gone; or an fd of it is that was there a moment ago. */
function orNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** Samples of the boot processor's count. Times are CLOCK_MONOTONIC in ms. */
export class HeartbeatWatch {
  readonly #fd: number;
  readonly #word = new DataView(new ArrayBuffer(4));
  #samples: HeartbeatSample[] = [];
  /** Of so many looks one is kept. */
  #stride = 1;
  #looks = 0;
  #runs = true;

  /** @param ram A path by which the RAM's file can be opened. */
  constructor(ram: string) {
    this.#fd = open(ram, O_RDONLY | O_CLOEXEC);
    this.#look();
  }

  /** Ends it. @returns What was seen, in order. */
  stop(): readonly HeartbeatSample[] {
    if (this.#runs) close(this.#fd);
    this.#runs = false;
    return this.#samples;
  }

  /** One look, and the next one as soon as whatever else there is to do has been done. */
  #look(): void {
    if (!this.#runs) return;
    if (this.#looks++ % this.#stride === 0) this.#sample();
    usleep(PAUSE_US);
    setImmediate(() => this.#look());
  }

  #sample(): void {
    if (pread(this.#fd, this.#word, HEARTBEAT.COUNT) !== 4) return;
    this.#samples.push({ atMs: monotonicNs() / 1e6, count: this.#word.getUint32(0, true) });
    if (this.#samples.length < MAX_SAMPLES) return;
    this.#samples = this.#samples.filter((_, i) => i % 2 === 0);
    this.#stride *= 2;
  }
}
