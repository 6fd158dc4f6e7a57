/** A guest that cannot run on is none the better for another VMM. */
import { afterEach, describe, expect, test } from "bun:test";
import { heartbeatProgram } from "@vmm/vmm/boot/heartbeat/program.ts";
import { withFault } from "./lib/fault/row.ts";
import type { GuestRam } from "./lib/guest-ram.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

let vm: TestVm;
afterEach(() => vm?.[Symbol.asyncDispose]());

/** No memory is there, and KVM runs no code of a device. */
const NOWHERE = 0xe0000000;

/**
 * Has the guest jump to where there is nothing, wherever in its loop it was stopped: the jump's five bytes take the place
 * of one instruction, the six bytes that increment the count in RAM, so that no other is cut in two.
 */
function breakGuest(ram: GuestRam): void {
  const increment = heartbeatProgram().loop + 1; // after the one byte that increments ebx
  const jump = Buffer.alloc(5);
  jump.writeUInt8(0xe9); // jmp rel32
  jump.writeUInt32LE(NOWHERE - (increment + jump.length), 1);
  ram.write(increment, jump);
}

const statusOf = async () => ((await vm.execute("query-status")) as { status: string }).status;

describe.skipIf(!HAS_KVM)("a guest that KVM cannot run any more (needs /dev/kvm)", () => {
  test("is told as that after updates of each kind, good and bad, until it is reset", async () => {
    vm = await TestVm.start();
    await vm.execute("stop");
    breakGuest(vm.ram);
    await vm.execute("cont");
    await until("KVM gives up", async () => (await statusOf()) === "internal-error");
    const command = await vm.command();
    const broken = withFault("commit:throw", command);
    for (const [mode, words, status] of [
      ["cpr-exec", command, "completed"],
      ["cpr-transfer", command, "completed"],
      ["cpr-exec", broken, "failed"],
    ] as const) {
      expect((await update(vm, { mode, command: words, preflight: true })).status).toBe(status);
      expect(await statusOf()).toBe("internal-error");
      await expect(vm.execute("cont")).rejects.toThrow("Reset");
    }
    await vm.execute("system_reset");
    await vm.execute("cont");
    const { ticks } = vm.heartbeat();
    await until("it ticks again", () => vm.heartbeat().ticks !== ticks);
  });
});
