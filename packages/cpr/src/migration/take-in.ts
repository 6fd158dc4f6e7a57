/** `migrate-incoming`: a guest that comes to a process that was started with `--incoming defer`. */
import { CprError } from "../cpr-error.ts";
import type { FdTable } from "../fd-table.ts";
import { FileIncoming } from "../file/file-incoming.ts";
import type { Incoming } from "../incoming/incoming.ts";
import type { IncomingGuest } from "../incoming/incoming-guest.ts";
import { type ChannelArguments, readChannels } from "./channels.ts";

export interface IncomingArguments extends ChannelArguments {
  /** Whether the process ends where the guest cannot be loaded. Yes, where left out. */
  readonly exitOnError?: boolean;
}

/** How a process that waits takes a guest in. */
export interface TakeIn {
  /** Of a process that was started by cpr-exec: what it was left, but for the state. */
  readonly exec?: Incoming;
  /** The process's fd table. */
  readonly fds: FdTable;
  /** Loads the guest and lets it run. Resolves once it does. */
  take(guest: IncomingGuest): Promise<void>;
  /** The guest could not be loaded, and this process is to end. */
  exit(error: unknown): void;
}

/**
 * The guest that the arguments lead to.
 *
 * @throws CprError `channel`, `save`, `state-*`: nothing has happened then.
 */
export function openGuest(args: ChannelArguments, { exec, fds }: TakeIn): IncomingGuest {
  const { main, cpr } = readChannels(args);
  if (cpr || main?.type !== "file")
    throw new CprError("channel", "a guest comes from a file: give uri file:PATH");
  if (!exec) return new FileIncoming(main.path, main.offset, fds);
  exec.loadFrom(main);
  return exec;
}
