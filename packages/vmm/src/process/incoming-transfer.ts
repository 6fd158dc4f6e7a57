/**
 * The successor of a transfer: builds all that it can while the source still runs the guest, and blocks on the connection
 * for the state. What comes after that is the pause.
 */
import { TransferIncoming } from "@vmm/cpr";
import { sigtimedwait } from "@vmm/libc";
import type { VmConfig } from "../config/vm-config.ts";
import { checkHeadroom } from "../machine/headroom.ts";
import { Hurry, letBegin } from "../machine/hurry.ts";
import type { Machine } from "../machine/machine.ts";
import { rehearse } from "../migration/rehearse.ts";
import { VmmError } from "../vmm-error.ts";
import type { Arrival } from "./arrival.ts";
import { claimQmpListener } from "./control-sockets.ts";
import { heldSignal, processSignals } from "./end-signals.ts";
import { goOn } from "./take-over.ts";

/** Time for what runs in the background to end before the guest stops, in ms. */
const SETTLE_MS = 50;

/** Signals that ask the process to end are blocked while it waits: they are looked at instead. */
export function endOnPendingSignal(): void {
  if (heldSignal() !== 0 || sigtimedwait(processSignals(), 0) !== undefined)
    throw new VmmError("run-state", "ended by a signal while it waited for a guest");
}

/** @param socket The connection to the source. */
export function awaitTransfer(config: VmConfig, socket: number): Arrival {
  const guest = TransferIncoming.begin(socket, endOnPendingSignal);
  const start = async (build: () => Machine) => {
    const machine = build();
    machine.runState.set("inmigrate");
    await machine.prepareThreads();
    checkHeadroom(config.cpus);
    const report = rehearse(machine, config, guest);
    // after the check, which leaves the preview's records in the arena
    if (report.ok) machine.host.prepareLoad();
    // the just-in-time compiler's threads are done by then, and do not come in between
    await Bun.sleep(SETTLE_MS);
    const hurry = new Hurry().main().vcpus(machine);
    guest.ready(report);
    guest.awaitState({
      stopped: () => machine.stayAwake(),
      rehearse: () => report.ok && guest.rehearse(),
    });
    guest.phases.begin("decode");
    goOn(guest, machine, guest.load(), {
      awaitRunning: () => machine.awaitRunning(),
      running() {
        hurry.end();
        letBegin();
      },
    });
    // a guest that stays paused was never told to run
    hurry.end();
    claimQmpListener(guest.fds);
    return machine;
  };
  return { fds: guest.fds, guest, takesOver: true, start };
}
