import { UsageError } from "../cli-error.ts";
import { command } from "../command/command.ts";
import { print } from "../print.ts";

const SCRIPTS = {
  bash: () => import("../completion/bash.ts"),
  zsh: () => import("../completion/zsh.ts"),
  fish: () => import("../completion/fish.ts"),
};
const SHELLS = Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[];

export default command({
  name: "completion",
  summary: "Print a script that lets the shell complete vmm's commands, options and VMs.",
  args: [{ name: "SHELL", summary: "bash, zsh or fish", complete: SHELLS }],
  options: {},
  examples: [
    ["completion bash > ~/.local/share/bash-completion/completions/vmm", "For bash, from its next start on"],
    ['completion zsh > "$' + '{fpath[1]}/_vmm"', "For zsh"],
    ["completion fish > ~/.config/fish/completions/vmm.fish", "For fish"],
  ],
  async run({ args: [shell] }) {
    const load = SHELLS.includes(shell as keyof typeof SCRIPTS)
      ? SCRIPTS[shell as keyof typeof SCRIPTS]
      : undefined;
    if (!load) throw new UsageError(`there is no completion for "${shell}", only for ${SHELLS.join(", ")}`);
    const { commandTree } = await import("../completion/command-tree.ts");
    print((await load()).default(await commandTree()).trimEnd());
    return 0;
  },
});
