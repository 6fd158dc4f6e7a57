/** Agents that are killed or stopped while the program is replaced: the guest stands still until then, and is not lost. */
import { expect, test } from "bun:test";
import { childrenOf, openFdsOf } from "./lib/proc.ts";
import { update } from "./lib/update.ts";
import { HAS_KVM, TestVm, until } from "./lib/vm.ts";

/** Who runs the vCPUs of a VMM: its children with a vCPU's fd. The spare one has as well. */
const agentsOf = (pid: number): number[] =>
  childrenOf(pid).filter((child) => openFdsOf(child).some(({ link }) => link === "anon_inode:kvm-vcpu:0"));

for (const [what, signal] of [
  ["killed", "SIGKILL"],
  ["stopped", "SIGSTOP"],
] as const) {
  test.skipIf(!HAS_KVM)(
    `a guest whose agent is ${what} goes on under the new VMM (needs /dev/kvm)`,
    async () => {
      await using vm = await TestVm.start({ cpus: 2 });
      const command = await vm.command();
      const before = vm.heartbeat();
      const { status, pidBefore, pidAfter } = await update(vm, {
        // long enough for the agents to be found
        command: ["sh", "-c", 'sleep 1; exec "$@"', "sh", ...command],
        meanwhile: async (_qmp, pid) => {
          await until("the agents to be there", () => agentsOf(pid).length === 3);
          process.kill(agentsOf(pid)[0] as number, signal);
        },
        timeoutMs: 30_000,
      });
      expect({ status, pid: pidAfter }).toEqual({ status: "completed", pid: pidBefore });
      const now = vm.heartbeat();
      expect({ secret: now.secret, fault: now.fault }).toEqual({ secret: before.secret, fault: "none" });
      await until("all vCPUs to count", () =>
        vm.heartbeat().counts.every((count, cpu) => count !== now.counts[cpu]),
      );
      await until("the agents to be gone", () => agentsOf(pidAfter).length === 0);
    },
  );
}
