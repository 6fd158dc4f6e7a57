import { UsageError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { print } from "../print.ts";
import { awaitEnd } from "../vm/await-end.ts";
import { withQmp } from "../vm/connect.ts";
import { NAME_ARGUMENT, NAME_OPTION, vmOf } from "../vm/name-options.ts";

export default command({
  name: "powerdown",
  summary: "Press a VM's power button: its guest shuts down by itself, if it listens.",
  args: [NAME_ARGUMENT],
  options: {
    name: NAME_OPTION,
    wait: { value: "SECONDS", summary: "Wait for the VM to end, at most so long; fail if it doesn't" },
  },
  examples: [
    ["powerdown web", "Ask the guest to shut down"],
    ["powerdown web --wait 60", "The same, and return when the VM has ended"],
  ],
  async run(input) {
    const seconds = secondsOf(input.options.wait);
    const vm = vmOf(input);
    await withQmp(vm, (qmp) => qmp.execute("system_powerdown"));
    if (seconds === undefined) print(`The power button of VM "${vm.name}" was pressed.`);
    else {
      await awaitEnd(vm, seconds * 1000);
      print(`VM "${vm.name}" has ended.`);
    }
    return 0;
  },
});

function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds <= 86_400) return seconds;
  throw new UsageError(`--wait: "${text}" is not a number of seconds up to a day`);
}
