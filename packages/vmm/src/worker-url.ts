/**
 * Where the programs of our Workers are. They lie beside this module, as sources and in an executable alike; there they
 * are named `.js`, whatever the name of the executable.
 */
const ENDING = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

/** @param name The Worker's program, such as `vcpu-worker`. */
export function workerUrl(name: "vcpu-worker" | "reactor-worker"): string {
  return new URL(`./${name}${ENDING}`, import.meta.url).href;
}
