/** How every command that works on a VM is told which one. */
import { UsageError } from "../cli-error.ts";
import type { ArgumentSpec, OptionSpec } from "../command/command.ts";
import { selectVm, type VmFolder } from "./find-vms.ts";

export const NAME_ARGUMENT = {
  name: "NAME",
  summary: "The VM (default: the only one that runs)",
  optional: true,
  complete: "vm",
} as const satisfies ArgumentSpec;

export const NAME_OPTION = {
  value: "NAME",
  summary: "The VM, as the argument NAME",
  complete: "vm",
} as const satisfies OptionSpec;

export const JSON_OPTION = { summary: "Print JSON" } as const satisfies OptionSpec;

interface NamedInput {
  readonly options: { readonly name: string | undefined };
  readonly args: readonly string[];
}

/** @throws UsageError where the name is given twice, CliError where there is no such VM. */
export function vmOf({ options, args }: NamedInput): VmFolder {
  if (options.name !== undefined && args[0] !== undefined && options.name !== args[0]) {
    throw new UsageError(`two VMs are named, "${args[0]}" and "${options.name}"`);
  }
  return selectVm(options.name ?? args[0]);
}
