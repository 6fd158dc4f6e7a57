/** Commands that send one QMP command without arguments. */
import { command } from "../command/command.ts";
import { print } from "../print.ts";
import { withQmp } from "./connect.ts";
import { NAME_ARGUMENT, NAME_OPTION, vmOf } from "./name-options.ts";

interface ControlSpec {
  readonly name: string;
  readonly qmp: string;
  readonly summary: string;
  readonly description?: string;
  readonly example: string;
  /** What to say when it is done. */
  readonly done: string;
}

export function controlCommand({ qmp, example, done, ...spec }: ControlSpec) {
  return command({
    ...spec,
    args: [NAME_ARGUMENT],
    options: { name: NAME_OPTION },
    examples: [[`${spec.name} web`, example]],
    async run(input) {
      const vm = vmOf(input);
      await withQmp(vm, (client) => client.execute(qmp));
      print(`VM "${vm.name}" ${done}.`);
      return 0;
    },
  });
}
