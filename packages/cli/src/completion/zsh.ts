import type { Completion } from "../command/command.ts";
import { LIST_VMS_SH, type TreeCommand, type TreeOption, wordsOf } from "./command-tree.ts";

/** Text inside single quotes, where brackets and colons mean something to _arguments. */
const quote = (text: string) => text.replace(/[[\]:\\]/g, "\\$&").replaceAll("'", "'\\''");

function action(complete: Completion | undefined): string {
  const words = wordsOf(complete);
  if (words) return `(${words.map((word) => word.replace(/:/g, "\\:")).join(" ")})`;
  if (complete === "vm") return "_vmm_vms";
  if (complete === "file") return "_files";
  if (complete === "command") return "_command_names -e";
  return " ";
}

function optionSpec({ name, summary, value, repeat, complete }: TreeOption): string {
  const many = repeat ? "*" : "";
  const argument = value ? `=:${quote(value)}:${action(complete)}` : "";
  return `'${many}--${name}${argument ? "=" : ""}[${quote(summary)}]${argument.slice(1)}'`;
}

function commandCase({ name, options, args, rest }: TreeCommand): string {
  const specs = options.map(optionSpec);
  const place = (optional?: boolean) => (optional ? "::" : ":");
  for (const [i, arg] of args.entries()) {
    const at = arg.variadic ? "*:" : `${i + 1}${place(arg.optional)}`;
    specs.push(`'${at}${quote(arg.name)}:${action(arg.complete)}'`);
  }
  if (rest) specs.push(`'*::${quote(rest.name)}:_normal'`);
  return `    ${name})\n      _arguments \\\n        ${specs.join(" \\\n        ")} ;;`;
}

/** A completion script for zsh. */
export default function zshCompletion(tree: readonly TreeCommand[]): string {
  const commands = tree.map(({ name, summary }) => `    '${name}:${quote(summary)}'`);
  return `#compdef vmm
_vmm_vms() {
  local -a names
  names=(\${(f)"$(_vmm_list_vms)"})
  compadd -a names
}
_vmm_list_vms() {
${LIST_VMS_SH}
}
_vmm() {
  local -a commands
  commands=(
${commands.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name=$words[2]
  shift words
  (( CURRENT-- ))
  case $name in
${tree.map(commandCase).join("\n")}
  esac
}
if [ "$funcstack[1]" = _vmm ]; then _vmm "$@"; else compdef _vmm vmm; fi
`;
}
