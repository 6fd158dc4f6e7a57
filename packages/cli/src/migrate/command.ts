/** The command that is to replace a VM's process. */
import { resolveExecTarget } from "@vmm/cpr";
import { absolutePath } from "@vmm/vmm/config/index.ts";
import { resolveImage } from "@vmm/vmm/image/index.ts";
import { reasonOf, UsageError } from "../cli-error.ts";
import { configOf, type VmFolder } from "../vm/find-vms.ts";

/** The command that started the VM, found anew: the image as it is on disk now. */
async function sameAgain(vm: VmFolder): Promise<string[]> {
  const { plugins } = configOf(vm);
  const { argv } = await resolveImage({ source: plugins.length > 0 });
  return [...argv, "--config", vm.paths.config];
}

/**
 * The whole command line, its program as an absolute path: the VM has neither this folder nor this PATH.
 *
 * @param words What the user wrote after `--`, if they did.
 * @throws UsageError where the program cannot be run.
 */
export async function newCommand(vm: VmFolder, words: readonly string[] | undefined): Promise<string[]> {
  const command = words ? [...words] : await sameAgain(vm);
  try {
    const program = resolveExecTarget(command, process.env);
    return [absolutePath(program, process.cwd()), ...command.slice(1)];
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}
