/** Sockets in the file system for the reactor: streams that never block. */
import {
  connectIfListening as connect,
  listenPrivate,
  PathTakenError,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "@vmm/libc";
import { VmmError } from "../vmm-error.ts";

const TYPE = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

/** How many connections may wait to be accepted: while a live update goes on nobody accepts any. */
export const BACKLOG = 64;

/** See `listenPrivate`. @throws VmmError `chardev` where the path is taken. */
export function listenUnix(path: string): number {
  try {
    return listenPrivate(path, TYPE, BACKLOG);
  } catch (cause) {
    if (cause instanceof PathTakenError) throw new VmmError("chardev", cause.message, { cause });
    throw cause;
  }
}

/** A connection to whoever listens at `path`; `undefined` where nobody does. */
export const connectIfListening = (path: string): number | undefined => connect(path, TYPE);
