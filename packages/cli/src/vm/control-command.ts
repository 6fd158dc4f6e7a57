/** Commands that send one QMP command without arguments. */
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
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
  /** What to say when it is done, in the run state that the VM is in then. */
  readonly done: string | ((runState: string) => string);
}

async function runStateOf(qmp: QmpClient): Promise<string> {
  return ((await qmp.execute("query-status")) as { status: string }).status;
}

export function controlCommand({ qmp, example, done, ...spec }: ControlSpec) {
  return command({
    ...spec,
    args: [NAME_ARGUMENT],
    options: { name: NAME_OPTION },
    examples: [[`${spec.name} web`, example]],
    async run(input) {
      const vm = vmOf(input);
      const runState = await withQmp(vm, async (client) => {
        await client.execute(qmp);
        // a VM that is gone by then has no run state
        return typeof done === "string" ? "" : await runStateOf(client);
      });
      print(`VM "${vm.name}" ${typeof done === "string" ? done : done(runState)}.`);
      return 0;
    },
  });
}
