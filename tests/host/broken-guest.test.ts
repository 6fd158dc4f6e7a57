/** A guest that cannot run on is none the better for another VMM. */
import { afterEach, describe, expect, test } from "bun:test";
import { heartbeatProgram } from "@vmm/vmm/boot/heartbeat/program.ts";
import { withFault } from "./lib/fault/row.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

let vm: TestVm;
afterEach(() => vm?.[Symbol.asyncDispose]());

/** mov eax,0xe0000000; jmp eax: no memory is there, and KVM runs no code of a device. */
const JUMP_TO_NOWHERE = Uint8Array.of(0xb8, 0x00, 0x00, 0x00, 0xe0, 0xff, 0xe0);

const statusOf = async () => ((await vm.execute("query-status")) as { status: string }).status;

describe.skipIf(!HAS_KVM)("a guest that KVM cannot run any more (needs /dev/kvm)", () => {
  test("is told as that after updates of each kind, good and bad, until it is reset", async () => {
    vm = await TestVm.start();
    await vm.execute("stop");
    vm.ram.write(heartbeatProgram().loop, JUMP_TO_NOWHERE);
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
