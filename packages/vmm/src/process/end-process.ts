/** The end of a VMM process: what it wrote is flushed, what it made is removed. */
import type { Chardev } from "../chardev/chardev.ts";
import { removeFolder } from "../config/folder-claim.ts";
import { vmPaths } from "../config/runtime-folder.ts";
import type { Machine, MachineEnd } from "../machine/machine.ts";

export interface ProcessParts {
  readonly machine: Machine;
  readonly chardevs: readonly Chardev[];
  /** Ends what else is under way; resolves when nothing is. */
  readonly settle: () => Promise<void>;
  /** Takes clients' last answers and events out; resolves when that is done, or took too long. */
  readonly closeControl: () => Promise<void>;
  /** The guest lives on in another process: the folder is that one's now. */
  readonly handedOver: () => boolean;
}

/** Time for what is under way to be taken back (ms). */
const SETTLE_MS = 5000;

/** Exit status after a signal asked for the end: 0, since that is a way to end well, as for `quit`. */
export async function endProcess(parts: ProcessParts, end: MachineEnd): Promise<never> {
  const { machine, chardevs } = parts;
  // an end has its limit too: what cannot be settled by then ends with the process
  await Promise.race([parts.settle(), Bun.sleep(SETTLE_MS)]);
  const handedOver = parts.handedOver();
  await parts.closeControl();
  for (const chardev of chardevs) chardev.close(handedOver);
  // a failed VM leaves its log behind for whoever looks for the reason
  if (!handedOver && end.reason !== "host-error") removeFolder(vmPaths(machine.config.folder));
  process.exit(end.status);
}
