/** Commands that tell what the machine is made of. */
import { command, type QmpCommand } from "../command.ts";

/** Each vCPU is a core with one thread, all in one socket. */
const cpuInfo = ({ index, tid }: { index: number; tid: number }) => ({
  "cpu-index": index,
  "qom-path": `/machine/cpu[${index}]`,
  "thread-id": tid,
  props: { "socket-id": 0, "core-id": index, "thread-id": 0 },
  target: "x86_64",
});

export const MACHINE_COMMANDS: readonly QmpCommand[] = [
  command("query-kvm", { run: (_args, { host }) => host.kvm() }),
  command("query-cpus-fast", { run: (_args, { host }) => host.cpus().map(cpuInfo) }),
  command("query-chardev", { run: (_args, { host }) => host.chardevs() }),
  command("query-memory-size-summary", {
    run(_args, { host }) {
      const { base, plugged } = host.memorySummary();
      return { "base-memory": base, "plugged-memory": plugged };
    },
  }),
];
