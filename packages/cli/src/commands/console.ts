import { command } from "../command/command.ts";
import { attachConsole } from "../console/attach.ts";
import { NAME_ARGUMENT, NAME_OPTION, vmOf } from "../vm/name-options.ts";

export default command({
  name: "console",
  summary: "Use a VM's serial console. Ctrl-] leaves it; the VM runs on.",
  description:
    "What the console showed before comes first. Several may be connected at once, and a live update does not disturb " +
    "them. With stdin or stdout on a pipe it copies until the VM ends.",
  args: [NAME_ARGUMENT],
  options: { name: NAME_OPTION },
  examples: [
    ["console web", "Type to the guest"],
    ["console web < /dev/null | grep -m1 login:", "Wait until the guest asks for a login"],
  ],
  async run(input) {
    const vm = vmOf(input);
    const how = await attachConsole(vm);
    if (how === "ended") console.error(`[vmm: VM "${vm.name}" has ended]`);
    // A read of stdin may still wait: nothing of it is of interest any more.
    process.exit(0);
  },
});
