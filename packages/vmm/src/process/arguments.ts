/** The command line of a VMM process. People use `vmm start`, which makes it; wrappers may pass it on. */
import { VmmError } from "../vmm-error.ts";

export interface ProcessArguments {
  /** The file with the VM's configuration. */
  readonly config: string;
  /** Where the state comes from, of a VM that is taken over: `defer`, `file:PATH` or `cpr:PATH`. */
  readonly incoming?: string;
}

const USAGE = "usage: main.ts --config FILE [--incoming defer|file:PATH|cpr:PATH]";

/** @param words The arguments behind the program. @throws VmmError `config` */
export function parseArguments(words: readonly string[]): ProcessArguments {
  const values: { config?: string; incoming?: string } = {};
  for (let i = 0; i < words.length; i += 2) {
    const [name, value] = [words[i], words[i + 1]];
    if ((name !== "--config" && name !== "--incoming") || value === undefined) {
      throw new VmmError("config", `${name}: not an option with a value; ${USAGE}`);
    }
    values[name === "--config" ? "config" : "incoming"] = value;
  }
  if (values.config === undefined) throw new VmmError("config", `--config is missing; ${USAGE}`);
  return { ...values, config: values.config };
}
