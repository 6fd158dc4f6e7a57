import { formatSize } from "@vmm/vmm/config/index.ts";
import { command } from "../command/command.ts";
import { table } from "../command/text.ts";
import { print, printJson } from "../print.ts";
import { findVms } from "../vm/find-vms.ts";
import { JSON_OPTION } from "../vm/name-options.ts";
import { statusOf, type VmStatus } from "../vm/vm-status.ts";

export default command({
  name: "ls",
  summary: "List this user's VMs.",
  description:
    "A VM is dead when its process was killed: vmm start takes its name over, vmm quit clears it away.",
  options: { json: JSON_OPTION },
  examples: [
    ["ls", "All VMs with their state"],
    ["ls --json", "The same for a program"],
  ],
  async run({ options }) {
    const vms = await Promise.all(findVms().map(statusOf));
    if (options.json) printJson(vms);
    else if (vms.length === 0) print("No VM runs. Start one with vmm start.");
    else print(...table([["NAME", "PID", "STATUS", "CPUS", "MEMORY", "ACCEL", "BOOTS"], ...vms.map(row)]));
    return 0;
  },
});

/** The path's end says more than its beginning. */
function short(text: string, width: number): string {
  return text.length <= width ? text : `…${text.slice(-(width - 1))}`;
}

function row({ name, pid, status, cpus, memory, accel, boot }: VmStatus): string[] {
  return [name, String(pid ?? "-"), status, String(cpus), formatSize(memory), accel, short(boot, 24)];
}
