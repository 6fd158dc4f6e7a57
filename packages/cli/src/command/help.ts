/** Help texts, made from the commands' specs. */
import { type ArgumentSpec, COMMON_OPTIONS, type CommandSpec, type OptionSpecs } from "./command.ts";
import { definitions, WIDTH, wrap } from "./text.ts";

const COLUMN = 26;

function usageOf({ name, optional, variadic }: ArgumentSpec): string {
  const word = variadic ? `${name}...` : name;
  return optional ? `[${word}]` : word;
}

function usage(spec: CommandSpec): string {
  const args = (spec.args ?? []).map(usageOf);
  const rest = spec.rest ? [`[-- ${spec.rest.name}...]`] : [];
  return ["vmm", spec.name, "[OPTIONS]", ...args, ...rest].join(" ");
}

function optionEntries(options: OptionSpecs): [string, string][] {
  return Object.entries(options).map(([name, { value, summary, repeat }]) => {
    const text = repeat ? `${summary} (may be repeated)` : summary;
    return [value ? `--${name} ${value}` : `--${name}`, text];
  });
}

/** The help of one command. */
export function commandHelp(spec: CommandSpec): string {
  const lines = [...wrap(spec.summary, WIDTH), "", `Usage: ${usage(spec)}`];
  for (const paragraph of spec.description?.split("\n\n") ?? []) lines.push("", ...wrap(paragraph, WIDTH));
  const args = [...(spec.args ?? []), ...(spec.rest ? [spec.rest] : [])];
  if (args.length > 0) {
    lines.push(
      "",
      "Arguments:",
      ...definitions(
        args.map((a) => [a.name, a.summary]),
        COLUMN,
      ),
    );
  }
  lines.push("", "Options:", ...definitions(optionEntries({ ...spec.options, ...COMMON_OPTIONS }), COLUMN));
  lines.push("", "Examples:");
  for (const [line, meaning] of spec.examples) {
    lines.push(`  vmm ${line}`, ...wrap(meaning, WIDTH - 6).map((text) => `      ${text}`));
  }
  return `${lines.join("\n")}\n`;
}

/** Commands under one heading of the overview. */
export interface HelpGroup {
  readonly title: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
}

/** The overview that `vmm --help` shows. */
export function overview(groups: readonly HelpGroup[]): string {
  const lines = [
    "vmm - virtual machines whose VMM can be replaced while their guests run",
    "",
    "Usage: vmm COMMAND [OPTIONS]",
  ];
  for (const { title, commands } of groups) {
    lines.push(
      "",
      `${title}:`,
      ...definitions(
        commands.map((c) => [c.name, c.summary]),
        14,
      ),
    );
  }
  lines.push(
    "",
    ...wrap("A VM is named by NAME or --name NAME; where just one runs, it need not be.", WIDTH),
    "",
    "Exit status:",
    ...definitions(
      [
        ["0", "Done."],
        ["1", "It was tried and failed; one line on stderr says why."],
        ["2", "Bad input, or a host that cannot do it; nothing was changed."],
        ["3", "No VM of that name runs."],
      ],
      6,
    ),
    "",
    "Options:",
    ...definitions(
      [
        ["--help", "Show this, or the help of a command: vmm COMMAND --help"],
        ["--version", "Show the version"],
      ],
      14,
    ),
  );
  return `${lines.join("\n")}\n`;
}
