/** A VMM that is killed where its guest cannot be saved any more: then nothing of either is left. */
import { expect, test } from "bun:test";
import { withFault } from "./lib/fault/row.ts";
import { processesWith } from "./lib/proc.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

/** Before the exec the state is nowhere yet; after the commit there is no way back. */
const POINTS = [
  ["the old one, while agents run the guest", "give-vcpu#1", true],
  ["the old one, with the state half done", "encode", true],
  ["the new one, between the commit and the guest's first instruction", "committed", false],
] as const;

for (const [who, point, old] of POINTS) {
  test.skipIf(!HAS_KVM)(`a VMM that is killed leaves no process: ${who} (needs /dev/kvm)`, async () => {
    await using vm = await TestVm.start({ cpus: 2 });
    const command = withFault(`${point}:kill`, await vm.command());
    // the old one is the one that was armed by the update before
    if (old) expect((await update(vm, { command })).status).toBe("completed");
    await update(vm, { ...(!old && { command }), timeoutMs: 2000 }).catch(() => {});
    await until(
      "nothing of the VM to be left",
      () => processesWith("XDG_RUNTIME_DIR", vm.runtime).length === 0,
    );
  });
}
