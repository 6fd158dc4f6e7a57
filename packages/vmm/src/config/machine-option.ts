/** The machine's own properties, as `--machine` gives them: `aux-ram-share=on`. */
import { parseOptionList, parseSwitch } from "./option-list.ts";

export interface MachineOptions {
  auxRamShare?: boolean;
}

/** @throws VmmError `config`. */
export function parseMachineOption(text: string): MachineOptions {
  const list = parseOptionList(text, { what: "--machine", keys: ["aux-ram-share"] });
  const share = list.get("aux-ram-share");
  return share === undefined ? {} : { auxRamShare: parseSwitch(share, "--machine: aux-ram-share") };
}
