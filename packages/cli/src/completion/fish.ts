import type { Completion } from "../command/command.ts";
import { type TreeCommand, type TreeOption, wordsOf } from "./command-tree.ts";

const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** Flags of \`complete\` for where a value comes from. */
function source(complete: Completion | undefined): string {
  const words = wordsOf(complete);
  if (words) return `-xa ${quote(words.join(" "))}`;
  if (complete === "vm") return "-xa '(__vmm_vms)'";
  if (complete === "file") return "-rF";
  if (complete === "command") return "-xa '(__fish_complete_subcommand)'";
  return "-x";
}

function optionLine(command: string, { name, summary, value, complete }: TreeOption): string {
  const argument = value ? ` ${source(complete)}` : "";
  return `complete -c vmm -n '__vmm_in ${command}' -l ${name}${argument} -d ${quote(summary)}`;
}

function commandLines({ name, summary, options, args }: TreeCommand): string[] {
  return [
    `complete -c vmm -n __vmm_at_command -xa ${name} -d ${quote(summary)}`,
    ...args.flatMap(({ complete }, i) =>
      complete ? [`complete -c vmm -n '__vmm_in ${name}; and __vmm_place ${i}' ${source(complete)}`] : [],
    ),
    ...options.map((option) => optionLine(name, option)),
  ];
}

/** A completion script for fish. */
export default function fishCompletion(tree: readonly TreeCommand[]): string {
  return `# fish completion for vmm
function __vmm_vms
    set -l root /tmp/vmm-(id -u)
    if set -q XDG_RUNTIME_DIR
        set root $XDG_RUNTIME_DIR/vmm
    else if test (id -u) = 0
        set root /run/vmm
    else if test -d /run/user/(id -u)
        set root /run/user/(id -u)/vmm
    end
    test -O $root; and not test -L $root; and command ls $root 2>/dev/null
end
function __vmm_at_command
    test (count (commandline -opc)) -eq 1
end
function __vmm_in
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = $argv[1]
end
function __vmm_place
    set -l given (string match -v -- '-*' (commandline -opc)[3..])
    test $argv[1] -eq 0; or test (count $given) -ge $argv[1]
end
complete -c vmm -f
${tree.flatMap(commandLines).join("\n")}
`;
}
