/** The commands as completion scripts need them. */
import { type ArgumentSpec, COMMON_OPTIONS, type Completion, type OptionSpecs } from "../command/command.ts";
import { COMMANDS, loadCommand } from "../commands/index.ts";

export interface TreeOption {
  /** Without the dashes. */
  readonly name: string;
  readonly summary: string;
  /** The value's name in help; without it the option is a switch. */
  readonly value?: string;
  readonly repeat: boolean;
  readonly complete?: Completion;
}

export interface TreeCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly TreeOption[];
  readonly args: readonly ArgumentSpec[];
  /** The words after `--`. */
  readonly rest?: ArgumentSpec;
}

function treeOptions(options: OptionSpecs): TreeOption[] {
  return Object.entries(options).map(([name, spec]) => ({ name, repeat: false, ...spec }));
}

export async function commandTree(): Promise<TreeCommand[]> {
  const tree: TreeCommand[] = [];
  for (const [name, { summary }] of Object.entries(COMMANDS)) {
    const spec = await loadCommand(name);
    if (!spec) continue;
    const options = treeOptions({ ...spec.options, ...COMMON_OPTIONS });
    tree.push({ name, summary, options, args: spec.args ?? [], ...(spec.rest && { rest: spec.rest }) });
  }
  return tree;
}

/** The words of a list, where the completion is one. */
export function wordsOf(complete: Completion | undefined): readonly string[] | undefined {
  return typeof complete === "string" ? undefined : complete;
}

/** A shell function body that prints the names of this user's VMs, by the rules of the runtime folder: none of another's. */
export const LIST_VMS_SH = `  local root
  if [ -n "$XDG_RUNTIME_DIR" ]; then root=$XDG_RUNTIME_DIR/vmm
  elif [ "$(id -u)" = 0 ]; then root=/run/vmm
  elif [ -d "/run/user/$(id -u)" ]; then root=/run/user/$(id -u)/vmm
  else root=/tmp/vmm-$(id -u); fi
  [ -O "$root" ] && [ ! -L "$root" ] && ls "$root" 2>/dev/null`;
