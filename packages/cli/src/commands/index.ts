/**
 * The subcommands. `start` is on the way to a running guest: it is in one file with the program. The others are loaded when
 * they are used.
 */
import type { CommandSpec } from "../command/command.ts";
import start from "./start.ts";

interface Entry {
  readonly group: string;
  readonly summary: string;
  // biome-ignore lint/suspicious/noExplicitAny: each command has options of its own
  load(): Promise<{ default: CommandSpec<any> }>;
}

const RUN = "Run VMs";
const CONTROL = "Control a running VM";
const UPDATE = "Update";
const HOST = "This host";

export const COMMANDS: Readonly<Record<string, Entry>> = {
  start: { group: RUN, summary: "Start a VM", load: async () => ({ default: start }) },
  ls: { group: RUN, summary: "List VMs", load: () => import("./ls.ts") },
  status: { group: RUN, summary: "Show a VM's state", load: () => import("./status.ts") },
  console: { group: RUN, summary: "Use a VM's serial console", load: () => import("./console.ts") },
  stop: { group: CONTROL, summary: "Stop the vCPUs; cont lets them go on", load: () => import("./stop.ts") },
  cont: { group: CONTROL, summary: "Let stopped vCPUs go on", load: () => import("./cont.ts") },
  reset: {
    group: CONTROL,
    summary: "Reset the machine, as its button would",
    load: () => import("./reset.ts"),
  },
  powerdown: {
    group: CONTROL,
    summary: "Press the power button: the guest shuts down",
    load: () => import("./powerdown.ts"),
  },
  quit: { group: CONTROL, summary: "End a VM at once", load: () => import("./quit.ts") },
  qmp: { group: CONTROL, summary: "Send QMP commands", load: () => import("./qmp.ts") },
  migrate: {
    group: UPDATE,
    summary: "Replace a VM's VMM while its guest runs",
    load: () => import("./migrate.ts"),
  },
  save: { group: UPDATE, summary: "Save a VM to a file", load: () => import("./save.ts") },
  restore: {
    group: UPDATE,
    summary: "Go on with a VM that was saved",
    load: () => import("./restore.ts"),
  },
  state: {
    group: UPDATE,
    summary: "Show a saved state, or what differs between two",
    load: () => import("./state.ts"),
  },
  demo: { group: HOST, summary: "Show a live update of a small guest", load: () => import("./demo.ts") },
  doctor: { group: HOST, summary: "Say what this host can do", load: () => import("./doctor.ts") },
  completion: {
    group: HOST,
    summary: "Print a shell's completion script",
    load: () => import("./completion.ts"),
  },
};

/** The command's spec; `undefined` where there is no such command. */
export async function loadCommand(name: string): Promise<CommandSpec | undefined> {
  if (!Object.hasOwn(COMMANDS, name)) return undefined;
  return (await COMMANDS[name]?.load())?.default;
}

/** The commands under their headings, for the overview. */
export function helpGroups() {
  const groups = new Map<string, { name: string; summary: string }[]>();
  for (const [name, { group, summary }] of Object.entries(COMMANDS)) {
    groups.set(group, [...(groups.get(group) ?? []), { name, summary }]);
  }
  return [...groups].map(([title, commands]) => ({ title, commands }));
}
