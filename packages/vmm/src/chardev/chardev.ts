/**
 * The host side of a serial port: where its characters come from and go to. Main thread only.
 *
 * Calls and when they come:
 * - `start`: once the machine's state is in place, also while the guest runs; and again after `pauseForExec`, where the
 *   live update failed. Files and sockets by path are opened by the first one, unless the fd table has them by then: a
 *   guest that is still to come brings what it had;
 * - `doorbell`: the ring's doorbell rang;
 * - `pauseForExec`: vCPUs are paused, and the state arena is saved next. From here on nothing is read or written, so that
 *   no byte is taken that the saved state does not know;
 * - `close`: the machine ends.
 */
import type { FdTable } from "@vmm/cpr";
import type { DeviceLock } from "../device/device-lock.ts";
import type { Reactor } from "../reactor/index.ts";
import type { ChardevRole } from "./role.ts";

/** As QMP's `query-chardev` gives it. */
export interface ChardevInfo {
  readonly label: string;
  /** QEMU's notation, such as `unix:/tmp/serial,server=on` or `pty:/dev/pts/3`. */
  readonly filename: string;
  readonly "frontend-open": boolean;
}

export interface Chardev {
  readonly id: string;
  /** Of one on a socket by path. */
  readonly role?: ChardevRole | undefined;
  start(): void;
  doorbell(): void;
  pauseForExec(): void;
  /** @param handedOver Another process has the fds now: what is in the file system stays. */
  close(handedOver?: boolean): void;
  info(): ChardevInfo;
}

/** What backends stand on. */
export interface ChardevContext {
  readonly reactor: Reactor;
  /** Where fds are found that a live update carried over, and kept for the next one. */
  readonly fds: FdTable;
  readonly lock: DeviceLock;
  /** The VM's folder. */
  readonly folder: string;
  /** The guest comes from elsewhere with all that it had open: what is not in the table was lost before. */
  readonly incoming?: boolean;
  /** Hears, in one line, of what goes wrong with a backend while the guest runs on. */
  readonly warn?: (message: string) => void;
}
