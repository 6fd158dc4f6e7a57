import type { FdTable } from "@vmm/cpr";
import {
  close,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_NOCTTY,
  O_NONBLOCK,
  O_TRUNC,
  O_WRONLY,
  open,
  SyscallError,
} from "@vmm/libc";
import { VmmError } from "../../vmm-error.ts";
import type { CharRing } from "../char-ring.ts";
import type { ChardevContext } from "../chardev.ts";
import { StreamBackend } from "../stream-backend.ts";

const nameOf = (id: string) => `${id}.file`;

/**
 * Opens the file of a chardev, and saves the fd in the table. Whoever else writes to it, as a copy of the guest may:
 * nothing is written over.
 *
 * @throws VmmError `chardev` where it cannot be opened for writing.
 */
export function openFile(fds: FdTable, id: string, path: string, how: "empty" | "append"): number {
  const flags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  try {
    const fd = open(path, how === "empty" ? flags | O_TRUNC : flags, 0o600);
    fds.saveFd(nameOf(id), 0, fd);
    return fd;
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const hint = error.code === "ENXIO" ? "; a FIFO needs a reader first" : "";
    throw new VmmError("chardev", `chardev ${id}: ${error.message}${hint}`, { cause: error });
  }
}

export function closeFile(fds: FdTable, id: string): void {
  const fd = fds.findFd(nameOf(id));
  if (fd === undefined) return;
  fds.deleteFd(nameOf(id));
  close(fd);
}

/** Output to a file that is emptied first, to a FIFO that somebody reads, or to a device. No input. */
export class FileChardev extends StreamBackend {
  protected override readonly filename = "file";
  readonly #path: string;
  readonly #incoming: boolean;

  constructor(ring: CharRing, context: ChardevContext, path: string) {
    super(ring, context);
    this.#path = path;
    this.#incoming = context.incoming ?? false;
  }

  protected override attach(): void {
    const fd = this.fds.findFd(nameOf(this.id)) ?? this.#open();
    this.openStream(undefined, fd);
  }

  protected override detach(): void {
    this.closeStream();
  }

  protected override release(): void {
    closeFile(this.fds, this.id);
  }

  protected override inputEnded(): void {}

  protected override outputFailed(error: SyscallError): void {
    this.warn(`output is discarded from now on: ${this.#path}: ${error.message}`);
    this.closeOutput();
  }

  #open(): number {
    return openFile(this.fds, this.id, this.#path, this.#incoming ? "append" : "empty");
  }
}
