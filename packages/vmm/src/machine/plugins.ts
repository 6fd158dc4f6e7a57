/** Plug-ins: modules that register device drivers when they are imported. */
import { VmmError } from "../vmm-error.ts";

/** @throws VmmError `device` that names the module which does not load. */
export async function importPlugins(modules: readonly string[]): Promise<void> {
  for (const module of modules) {
    try {
      await import(module);
    } catch (error) {
      const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
      throw new VmmError("device", `plugin ${module} does not load: ${reason}`);
    }
  }
}
