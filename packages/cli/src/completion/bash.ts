import type { Completion } from "../command/command.ts";
import { LIST_VMS_SH, type TreeCommand, wordsOf } from "./command-tree.ts";

/** What puts the candidates of a completion in COMPREPLY. */
function reply(complete: Completion | undefined): string {
  const words = wordsOf(complete);
  if (words) return `_vmm_words "${words.join(" ")}"`;
  if (complete === "vm") return '_vmm_words "$(_vmm_vms)"';
  if (complete === "file") return "_vmm_files";
  if (complete === "command") return "_vmm_commands";
  return ":";
}

function valueCases(tree: readonly TreeCommand[]): string[] {
  return tree.flatMap(({ name, options }) =>
    options
      .filter(({ value }) => value)
      .map((option) => `    "${name} --${option.name}") ${reply(option.complete)}; return ;;`),
  );
}

/** What completes the argument at the place that `$place` counts; the last one's also serves all that follow. */
function argumentCase(args: TreeCommand["args"]): string {
  if (args.length <= 1) return reply(args[0]?.complete);
  const cases = args.map(({ complete }, i) => `${i === args.length - 1 ? "*" : i}) ${reply(complete)} ;;`);
  return `case $place in ${cases.join(" ")} esac`;
}

function commandCases(tree: readonly TreeCommand[]): string[] {
  return tree.map(({ name, options, args, rest }) => {
    const words = options.map((option) => `--${option.name}`).join(" ");
    const after = rest ? ` [ -n "$past" ] && { ${reply(rest.complete)}; return; };` : "";
    return `    ${name})${after} case $cur in -*) _vmm_words "${words}" ;; *) ${argumentCase(args)} ;; esac ;;`;
  });
}

/** A completion script for bash. */
export default function bashCompletion(tree: readonly TreeCommand[]): string {
  return `# bash completion for vmm
_vmm_vms() {
${LIST_VMS_SH}
}
_vmm_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_vmm_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); }
_vmm_commands() {
  case $cur in */*) _vmm_files ;; *) COMPREPLY=($(compgen -c -- "$cur")) ;; esac
}
_vmm() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} past= place=0 i
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    _vmm_words "${tree.map(({ name }) => name).join(" ")} --help --version"
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in --) past=1 ;; -*) ;; *) ((place++)) ;; esac
  done
  [ -z "$past" ] && case "\${COMP_WORDS[1]} $prev" in
${valueCases(tree).join("\n")}
  esac
  case \${COMP_WORDS[1]} in
${commandCases(tree).join("\n")}
  esac
}
complete -F _vmm vmm
`;
}
