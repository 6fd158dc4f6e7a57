/**
 * What the chardevs of a guest from a file are on: opened before the guest goes on, and found in the fd table as what a
 * live update carries over is. The very guest that was saved may still run and use the same: nothing is emptied, and no
 * chardev becomes the client of one that listens where it did.
 */
import type { FdTable, JsonObject, UndoLog } from "@vmm/cpr";
import type { ChardevConfig } from "../config/vm-config.ts";
import { closeFile, openFile } from "./backends/file.ts";
import { closeUnix, openUnix } from "./backends/unix.ts";
import { roleIn } from "./role.ts";

/**
 * Opens files and sockets; the other backends use nothing that is another's.
 *
 * @param machine What the saved state's header says of the machine.
 * @param undo Takes what closes them again, for a guest that cannot go on after all.
 * @throws VmmError `chardev`
 */
export function openIncoming(
  chardevs: readonly ChardevConfig[],
  machine: JsonObject,
  fds: FdTable,
  undo: UndoLog,
): void {
  for (const { id, ...config } of chardevs) {
    const what = `open chardev ${id}`;
    if (config.backend === "file") {
      openFile(fds, id, config.path, "append");
      undo.push(what, () => closeFile(fds, id));
    } else if (config.backend === "unix") {
      openUnix(fds, id, config.path, roleIn(machine, id));
      undo.push(what, () => closeUnix(fds, id, config.path));
    }
  }
}
