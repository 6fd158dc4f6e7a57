/** Goes on with a guest from a file, whose RAM is loaded, on a host where others may use what its chardevs were on. */
import { type FileIncoming, UndoLog } from "@vmm/cpr";
import { openIncoming } from "../chardev/index.ts";
import type { Machine } from "../machine/machine.ts";
import { goOn } from "./take-over.ts";

/** @throws VmmError `chardev` where one cannot be had: before the guest runs, which could change RAM in its own file. */
export function goOnFromFile(guest: FileIncoming, machine: Machine): void {
  const state = guest.load();
  const undo = new UndoLog();
  try {
    openIncoming(machine.config.chardevs, state.header.machine, machine.fds, undo);
    goOn(guest, machine, state);
  } catch (error) {
    undo.unwind();
    throw error;
  }
}
