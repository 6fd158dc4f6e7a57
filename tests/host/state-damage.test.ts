/**
 * What an update of a real VM leaves for the new program, cut at every length and with every byte changed: each is refused
 * before anything of it is believed. What follows a refusal is in the fault matrix, at some of the places.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CprError, decodeCprState, decodeState } from "@vmm/cpr";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm } from "./lib/vm.ts";

const COPY = [process.execPath, join(import.meta.dir, "lib/fault/damage.ts"), "copy"];

/** What is thrown for bytes that are not as they were written. */
const REFUSALS = ["state-magic", "state-version", "state-truncated", "state-corrupt"];

const STATES = {
  "the CPR state": { which: "cpr", decode: decodeCprState },
  "the saved state": { which: "main", decode: decodeState },
} as const;

/** How the bytes are taken: `taken`, or the code of the refusal. */
function outcomeOf(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): string {
  try {
    decode(bytes);
    return "taken";
  } catch (error) {
    return error instanceof CprError ? error.code : String(error);
  }
}

describe.skipIf(!HAS_KVM)("after an update of a VM (needs /dev/kvm)", () => {
  const states = new Map<string, Uint8Array>();

  beforeAll(async () => {
    await using vm = await TestVm.start();
    const path = (which: string) => join(vm.runtime, `copy-of-${which}`);
    const copies = Object.values(STATES).flatMap(({ which }) => [...COPY, which, path(which), "--"]);
    const { status, reason } = await update(vm, { command: [...copies, ...(await vm.command())] });
    expect({ status, reason }).toEqual({ status: "completed", reason: "" });
    for (const { which } of Object.values(STATES)) states.set(which, readFileSync(path(which)));
  });

  test.each(Object.entries(STATES))("%s is taken as it is, and cut nowhere", (_, { which, decode }) => {
    const bytes = states.get(which) as Uint8Array;
    expect(outcomeOf(decode, bytes)).toBe("taken");
    const wrong: string[] = [];
    for (let length = 0; length < bytes.length; length++) {
      const outcome = outcomeOf(decode, bytes.subarray(0, length));
      if (!REFUSALS.includes(outcome)) wrong.push(`${length}: ${outcome}`);
    }
    expect(wrong).toEqual([]);
  });

  test.each(Object.entries(STATES))(
    "%s is refused with another value in any byte",
    (_, { which, decode }) => {
      const bytes = (states.get(which) as Uint8Array).slice();
      const wrong: string[] = [];
      for (let at = 0; at < bytes.length; at++) {
        const before = bytes[at] as number;
        // each bit comes in turn, and all of them
        for (const change of [1 << (at & 7), 0xff]) {
          bytes[at] = before ^ change;
          const outcome = outcomeOf(decode, bytes);
          if (!REFUSALS.includes(outcome)) wrong.push(`${at}: ${outcome}`);
        }
        bytes[at] = before;
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );
});
