/** The machine that this program runs on. */
import { cpus, machine, release, totalmem, type } from "node:os";
import type { HostFacts } from "./data.ts";

export function hostFacts(): HostFacts {
  const processors = cpus();
  return {
    system: `${type()} ${release()} ${machine()}`,
    processor: processors[0]?.model.trim() || "unknown processor",
    cpus: processors.length,
    memory: totalmem(),
  };
}
