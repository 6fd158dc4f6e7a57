/** A signal that ends the VM is for its main thread: one that another thread takes right before an exec would be lost. */
import { afterEach, describe, expect, test } from "bun:test";
import { SIGHUP, SIGINT, SIGTERM } from "@vmm/libc";
import { threadsOf } from "./lib/proc.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm } from "./lib/vm.ts";

let vm: TestVm;
afterEach(() => vm?.[Symbol.asyncDispose]());

const END_SIGNALS = [SIGTERM, SIGINT, SIGHUP].reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n);

/** The threads of a process, but its main thread, that could take such a signal. */
function takers(pid: number): string[] {
  const others = threadsOf(pid).filter(({ tid }) => tid !== pid);
  expect(others.length).toBeGreaterThan(3);
  return others.filter(({ blocked }) => (blocked & END_SIGNALS) !== END_SIGNALS).map(({ name }) => name);
}

describe.skipIf(!HAS_KVM)("no thread but the main thread (needs /dev/kvm)", () => {
  test.each(["cpr-exec", "cpr-transfer"])(
    "takes a signal that ends the VM, also not after updates by %s",
    async (mode) => {
      vm = await TestVm.start();
      expect(takers(await vm.pid())).toEqual([]);
      for (let i = 0; i < 2; i++) {
        // what an update allocates has the garbage collector start its threads
        expect((await update(vm, { mode, command: await vm.command() })).status).toBe("completed");
        expect(takers(await vm.pid())).toEqual([]);
      }
    },
  );
});
