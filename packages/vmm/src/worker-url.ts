/**
 * Where the programs of our Workers are. They lie beside this module, as sources and in a bundle alike; a bundle names
 * them `.js`.
 */
const ENDING = import.meta.url.endsWith(".js") ? ".js" : ".ts";

/** @param name The Worker's program, such as `vcpu-worker`. */
export function workerUrl(name: "vcpu-worker" | "reactor-worker"): string {
  return new URL(`./${name}${ENDING}`, import.meta.url).href;
}
