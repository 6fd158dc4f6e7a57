/** Agents that are killed or stopped while the program is replaced: the guest stands still until then, and is not lost. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { childrenOf, openFdsOf } from "./lib/proc.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

/** Who runs the vCPUs of a VMM, and the spare one: children of it that have the VM and its vCPUs, and nothing else. */
const agentsOf = (pid: number): number[] =>
  childrenOf(pid).filter((child) => {
    const links = openFdsOf(child).map(({ link }) => link);
    return links.length > 1 && links.every((link) => link.startsWith("anon_inode:kvm-"));
  });

/** Waits for a file of that name, and becomes the VMM. */
const gated = (gate: string, command: readonly string[]) => [
  ...["sh", "-c", 'until [ -e "$0" ]; do sleep 0.05; done; exec "$@"', gate],
  ...command,
];

/** Updates the VM, and does something to the first vCPU's agent meanwhile. */
async function updateAnd(vm: TestVm, signal: NodeJS.Signals) {
  const gate = join(vm.runtime, "gate");
  return await update(vm, {
    command: gated(gate, await vm.command()),
    parameters: { "x-cpr-commit-timeout": 30_000 },
    meanwhile: async (_qmp, pid) => {
      await until("the agents to be there", () => agentsOf(pid).length === vm.cpus + 1);
      process.kill(agentsOf(pid)[0] as number, signal);
      writeFileSync(gate, "");
    },
    timeoutMs: 30_000,
  });
}

for (const [what, signal] of [
  ["killed", "SIGKILL"],
  ["stopped", "SIGSTOP"],
] as const) {
  test.skipIf(!HAS_KVM)(
    `a guest whose agent is ${what} goes on under the new VMM (needs /dev/kvm)`,
    async () => {
      await using vm = await TestVm.start({ cpus: 2 });
      const before = vm.heartbeat();
      const { status, pidBefore, pidAfter } = await updateAnd(vm, signal);
      expect({ status, pid: pidAfter }).toEqual({ status: "completed", pid: pidBefore });
      const now = vm.heartbeat();
      expect({ secret: now.secret, fault: now.fault }).toEqual({ secret: before.secret, fault: "none" });
      await until("all vCPUs to count", () =>
        vm.heartbeat().counts.every((count, cpu) => count !== now.counts[cpu]),
      );
      await until("the agents to be gone", () => agentsOf(pidAfter).length === 0);
    },
    60_000,
  );
}
