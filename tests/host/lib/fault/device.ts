/**
 * A device that fails on command, as a plug-in: `--plugin fault-device.ts --device fault,id=fault0,commands=FILE`. The
 * file has words, one a line, each the name of a call that is to throw; the word is taken out when it does.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { MigrationMode, ModeNotifier } from "@vmm/cpr";
import { struct, u32 } from "@vmm/libc";
import {
  type Device,
  type DeviceContext,
  type DeviceOptions,
  type RecordSchema,
  registerDriver,
} from "@vmm/vmm";

/** The calls that can fail. */
export type FaultCall =
  | "setup"
  | "done"
  | "failed"
  | "pause"
  | "resume"
  | "save"
  | "reset"
  | "postLoad"
  | "start";

const ALL_MODES: readonly MigrationMode[] = ["normal", "cpr-reboot", "cpr-transfer", "cpr-exec"];

const FaultState = struct("fault-device", {
  /** How often it was saved. */
  saves: u32,
});

const SCHEMA = { kind: "fault-device", version: 1, compat: 1, layout: FaultState } satisfies RecordSchema;

class FaultDevice implements Device {
  readonly id: string;
  readonly modeNotifier: ModeNotifier;
  readonly #state: { saves: number };
  readonly #commands: string;

  constructor({ arena }: DeviceContext, { id, commands }: DeviceOptions) {
    this.id = id;
    this.#commands = String(commands);
    this.#state = arena.record(id, SCHEMA);
    this.modeNotifier = {
      name: id,
      modes: ALL_MODES,
      setup: () => this.#call("setup"),
      done: () => this.#call("done"),
      failed: () => this.#call("failed"),
    };
  }

  #call(call: FaultCall): void {
    const words = readFileSync(this.#commands, "utf8").split("\n");
    const at = words.indexOf(call);
    if (at < 0) return;
    words.splice(at, 1);
    writeFileSync(this.#commands, words.join("\n"));
    throw new Error(`${this.id} fails in ${call}`);
  }

  reset(): void {
    this.#call("reset");
  }

  start(): void {
    this.#call("start");
  }

  pause(): void {
    this.#call("pause");
  }

  resume(): void {
    this.#call("resume");
  }

  save(): void {
    this.#call("save");
    this.#state.saves++;
  }

  postLoad(): void {
    this.#call("postLoad");
  }
}

registerDriver({ name: "fault", create: (context, options) => new FaultDevice(context, options) });
