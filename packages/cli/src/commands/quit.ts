import { removeFolder } from "@vmm/vmm/config/index.ts";
import { command } from "../command/command.ts";
import { print } from "../print.ts";
import { awaitEnd } from "../vm/await-end.ts";
import { withQmp } from "../vm/connect.ts";
import { findVms } from "../vm/find-vms.ts";
import { NAME_ARGUMENT, NAME_OPTION, vmOf } from "../vm/name-options.ts";

/** A VM that quits has ended in some ms; one with much RAM takes longer to free it. */
const END_TIMEOUT_MS = 60_000;

export default command({
  name: "quit",
  summary: "End a VM at once. The guest is not asked: vmm powerdown does that.",
  args: [NAME_ARGUMENT],
  options: { name: NAME_OPTION },
  examples: [
    ["quit web", "End the VM, and return when it has ended"],
    ["quit", "End the only VM there is"],
  ],
  async run(input) {
    const name = input.options.name ?? input.args[0];
    const dead = findVms().find((vm) => vm.name === name && !vm.alive);
    if (dead) {
      removeFolder(dead.paths);
      print(`VM "${dead.name}" was dead; what it left is cleared away.`);
      return 0;
    }
    const vm = vmOf(input);
    await withQmp(vm, (qmp) => qmp.execute("quit"));
    await awaitEnd(vm, END_TIMEOUT_MS);
    print(`VM "${vm.name}" has ended.`);
    return 0;
  },
});
