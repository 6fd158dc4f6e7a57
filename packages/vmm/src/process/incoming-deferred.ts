/** A guest that comes by `migrate-incoming`, to a process whose control sockets are up. */
import { FileIncoming, type Incoming, type IncomingGuest, reasonOf, type TakeIn } from "@vmm/cpr";
import type { AdoptedVcpus } from "../accel/accelerator.ts";
import type { Machine } from "../machine/machine.ts";
import { recordsByName } from "../machine/machine-state.ts";
import { ramBlocksOf } from "../migration/ram-blocks.ts";
import type { Arrival } from "./arrival.ts";
import type { Chardevs } from "./chardevs.ts";
import { goOnFromFile } from "./go-on-from-file.ts";
import { goOn, takeOver } from "./take-over.ts";

/** How many records of RAM, of up to 1 MiB each, are loaded between two looks at what else there is to do. */
const STEPS = 16;

const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));

async function loadRam(guest: FileIncoming, machine: Machine): Promise<void> {
  guest.phases.begin("load RAM");
  let steps = 0;
  for (const _ of guest.loadRamStepwise(ramBlocksOf(machine))) if (++steps % STEPS === 0) await breathe();
}

/** @param chardevs They are started once the guest is there: what they hold comes with it. */
export function takeInDeferred(
  machine: Machine,
  { exec }: NonNullable<Arrival["deferred"]>,
  chardevs: Chardevs,
): TakeIn {
  return {
    ...(exec && { exec }),
    fds: machine.fds,
    async take(guest: IncomingGuest): Promise<void> {
      if (guest === exec) takeOver(exec, () => machine);
      else if (guest instanceof FileIncoming) {
        await loadRam(guest, machine);
        goOnFromFile(guest, machine);
      } else goOn(guest, machine, guest.load());
      chardevs.start(guest === exec);
    },
    exit(error: unknown): void {
      if (exec?.isCommitted) {
        console.error(`vmm: the guest runs here, whatever went wrong after that: ${reasonOf(error)}`);
        return;
      }
      try {
        exec?.fallback(error);
      } catch {
        // the reason is told below; the keeper goes on from here, if there is one
      }
      console.error(`vmm: ${error instanceof Error ? error.message : error}`);
      machine.onEnd({ reason: "host-error", status: 1 });
    },
  };
}

/**
 * Ends a guest that has not come yet, and all that the program before has left to run it.
 *
 * @returns False where the keeper was faster: the guest goes on under the program before.
 */
export async function endWaitingGuest(exec: Incoming, machine: Machine): Promise<boolean> {
  const vcpus = findVcpus(exec, machine);
  try {
    exec.commit();
  } catch {
    return false;
  }
  await exec.afterRun(undefined, undefined, vcpus?.release());
  return true;
}

/** The vCPUs that have run on all the while. Where they cannot be found they end by themselves, in some minutes. */
function findVcpus(exec: Incoming, machine: Machine): AdoptedVcpus | undefined {
  try {
    // the very state that was saved, not what somebody may have made of a file by now
    exec.loadFrom({ type: "memfd" });
    return machine.vm.adopt(recordsByName(exec.load().records), machine.fds);
  } catch (error) {
    console.error(`vmm: what runs the guest cannot be ended: ${reasonOf(error)}`);
    return undefined;
  }
}
