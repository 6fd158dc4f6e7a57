import { formatSize } from "@vmm/vmm/config/index.ts";
import { command } from "../command/command.ts";
import { table } from "../command/text.ts";
import { EXIT } from "../exit-code.ts";
import { print, printJson } from "../print.ts";
import { JSON_OPTION, NAME_ARGUMENT, NAME_OPTION, vmOf } from "../vm/name-options.ts";
import { statusOf, type VmStatus } from "../vm/vm-status.ts";

export default command({
  name: "status",
  summary: "Show a VM's state.",
  args: [NAME_ARGUMENT],
  options: { name: NAME_OPTION, json: JSON_OPTION },
  examples: [
    ["status web", "The run state, the process, and how the last live update went"],
    ["status web --json", "The same for a program"],
  ],
  async run(input) {
    const status = await statusOf(vmOf(input));
    if (input.options.json) printJson(status);
    else print(...table(lines(status)));
    return status.status === "unreachable" ? EXIT.failed : EXIT.ok;
  },
});

function lines({
  name,
  pid,
  status,
  cpus,
  memory,
  accel,
  boot,
  folder,
  update,
  reason,
}: VmStatus): string[][] {
  const rows = [
    ["name", name],
    ["status", reason ? `${status}: ${reason}` : status],
    ["pid", String(pid ?? "-")],
    ["vCPUs", String(cpus)],
    ["memory", formatSize(memory)],
    ["accelerator", accel],
    ["boots", boot],
    ["folder", folder],
  ];
  if (update?.status !== undefined) rows.push(["last update", describe(update)]);
  return rows;
}

function describe(update: Readonly<Record<string, unknown>>): string {
  const parts = [String(update.status)];
  if (typeof update.downtime === "number") parts.push(`the guest stood still for ${update.downtime} ms`);
  if (typeof update["error-desc"] === "string") parts.push(update["error-desc"]);
  return parts.join(": ");
}
