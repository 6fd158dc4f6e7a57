/** How the guest comes into a VMM process: from nothing, from the VMM before, from another process, from a file. */
import type { FdTable, Incoming, IncomingGuest } from "@vmm/cpr";
import type { Machine } from "../machine/machine.ts";

export interface Arrival {
  /** What the process is left with: empty where it is not the first VMM of its VM. */
  readonly fds: FdTable;
  /** Builds the machine and lets the guest run, or wait. */
  start(build: () => Machine): Machine | Promise<Machine>;
  /** The guest that was taken over. */
  readonly guest?: IncomingGuest;
  /** It comes with its memory from the VMM before, which cannot run it again once this process does. */
  readonly takesOver?: boolean;
  /** The guest is still to come, by `migrate-incoming`. */
  readonly deferred?: {
    /** Of a process that was started by cpr-exec: what it was left. */
    readonly exec?: Incoming;
  };
}
