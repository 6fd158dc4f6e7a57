/** What a saved state says about itself before any record. */

import { JsonChecker, type JsonObject } from "../json-check.ts";
import { MIGRATION_MODES, type MigrationMode } from "../modes.ts";
import { checkRam, type RamPlacement } from "../ram/placement.ts";

/** Times are in ns; as doubles they are exact for 104 days after boot and to the microsecond for centuries. */
export interface StateHeader {
  /** The version of the program that wrote the state. */
  readonly writer: string;
  readonly mode: MigrationMode;
  /** Whether the guest ran when it was stopped, and so is to run again. */
  readonly running: boolean;
  /** The run state of a guest that cannot run again as it is, such as `internal-error`. */
  readonly runState?: string;
  /** CLOCK_MONOTONIC when the stop of the vCPUs began. Comparable on the same boot only. */
  readonly stoppedMonotonicNs: number;
  /** CLOCK_BOOTTIME at the same moment: goes on while the host sleeps. */
  readonly stoppedBoottimeNs: number;
  /** CLOCK_REALTIME at the same moment, for a state that is restored after a reboot. */
  readonly stoppedRealtimeNs: number;
  /** The kernel's boot id: tells whether the two clocks above can be compared. */
  readonly bootId: string;
  /** What the machine itself wants to say, such as its name. */
  readonly machine: JsonObject;
  /** Where the guest's RAM is. Missing where it was handed over by fd. */
  readonly ram?: readonly RamPlacement[];
}

/** @throws CprError `state-invalid` where something is missing or of the wrong type. Unknown entries are ignored. */
export function checkHeader(value: unknown): StateHeader {
  const check = new JsonChecker("state-invalid", "the saved state's header");
  const header = check.object(value, "the header");
  return {
    writer: check.string(header.writer, "writer", 255),
    mode: check.oneOf(header.mode, "mode", MIGRATION_MODES),
    running: check.boolean(header.running, "running"),
    ...(header.runState !== undefined && { runState: check.string(header.runState, "runState", 64) }),
    stoppedMonotonicNs: check.number(header.stoppedMonotonicNs, "stoppedMonotonicNs"),
    stoppedBoottimeNs: check.number(header.stoppedBoottimeNs, "stoppedBoottimeNs"),
    stoppedRealtimeNs: check.number(header.stoppedRealtimeNs, "stoppedRealtimeNs"),
    bootId: check.string(header.bootId, "bootId", 64),
    machine: check.object(header.machine, "machine"),
    ...(header.ram !== undefined && { ram: checkRam(check, header.ram) }),
  };
}
