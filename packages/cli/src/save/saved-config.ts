/** The configuration that a saved VM brings with it, and what of it the user is to say. */
import { SavedFile } from "@vmm/cpr";
import { resolvePaths, type VmConfig } from "@vmm/vmm/config/index.ts";
import { reasonOf, UsageError } from "../cli-error.ts";

function readConfig(path: string): unknown {
  try {
    const file = new SavedFile(path);
    const { config } = file.state.header.machine;
    file.close();
    return config;
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}

/** @throws UsageError where the file is not a saved VM, or says of it what makes no sense. */
export async function savedConfig(path: string): Promise<VmConfig> {
  const config = readConfig(path);
  const help = `use vmm start --incoming file:${path}`;
  if (config === undefined) throw new UsageError(`${path} does not say how its VM was configured: ${help}`);
  const { configFromSaved } = await import("@vmm/vmm/config/saved-config.ts");
  try {
    return configFromSaved(config);
  } catch (error) {
    throw new UsageError(`the VM's configuration in ${path}: ${reasonOf(error)}`);
  }
}

/** A word as a shell takes it, whatever is in it. */
const shellWord = (text: string) =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/**
 * Plug-ins are programs, so which of them run is the user's to say and not the file's.
 *
 * @param named What the user named.
 * @throws UsageError where the VM had some, and the user named none.
 */
export function pluginsOf({ plugins }: VmConfig, named: readonly string[]): readonly string[] {
  if (plugins.length > 0 && named.length === 0) {
    const options = plugins.map((plugin) => `--plugin ${shellWord(plugin)}`).join(" ");
    throw new UsageError(`the saved VM has plug-ins, and none runs unless you name it: add ${options}`);
  }
  return resolvePaths({ plugins: [...named] }, process.cwd()).plugins ?? [];
}
