import { CliError, reasonOf } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";
import { parseQmpArguments } from "../qmp/arguments.ts";
import { withQmp } from "../vm/connect.ts";
import { findVms, selectVm } from "../vm/find-vms.ts";
import { NAME_OPTION } from "../vm/name-options.ts";

export default command({
  name: "qmp",
  summary: "Send a QMP command to a VM and print what it returns.",
  description:
    "Arguments are one object in JSON, or words such as mode=cpr-exec. Without a command, commands are read line by line " +
    "from stdin, and events are shown as they come.",
  args: [
    { name: "NAME", summary: "The VM (default: the only one that runs)", optional: true, complete: "vm" },
    { name: "COMMAND", summary: "The QMP command, such as query-status", optional: true },
    { name: "ARGUMENT", summary: "Its arguments: JSON, or key=value", optional: true, variadic: true },
  ],
  options: { name: NAME_OPTION },
  examples: [
    ["qmp web query-status", "Ask one thing"],
    ["qmp query-cpus-fast", "The same of the only VM there is"],
    ["qmp web migrate-set-parameters mode=cpr-exec", "A command with arguments"],
    ["qmp web", "A session: type commands, see events; Ctrl-D ends it"],
  ],
  async run({ options, args }) {
    const { name, words } = split(options.name, args);
    const vm = selectVm(name);
    const [qmpCommand, ...rest] = words;
    if (qmpCommand === undefined) {
      const { interactiveQmp } = await import("../qmp/interactive.ts");
      return interactiveQmp(vm);
    }
    const parameters = parseQmpArguments(rest);
    const result = await withQmp(vm, (client) => client.execute(qmpCommand, parameters)).catch((error) => {
      throw error instanceof CliError ? error : new CliError(`${qmpCommand}: ${reasonOf(error)}`);
    });
    printJson(result);
    return EXIT.ok;
  },
});

/** NAME COMMAND... by words, or NAME by option. A first word that is no VM's name is the command, for the only VM. */
function split(name: string | undefined, args: readonly string[]) {
  if (name !== undefined) return { name, words: args };
  const isName = args[0] === undefined || findVms().some((vm) => vm.name === args[0]);
  return isName ? { name: args[0], words: args.slice(1) } : { name: undefined, words: args };
}
