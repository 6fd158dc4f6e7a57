import {
  close,
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

/** Output to a file that is emptied first, to a FIFO that somebody reads, or to a device. No input. */
export class FileChardev extends StreamBackend {
  protected override readonly filename = "file";
  readonly #path: string;
  readonly #fd: number;

  /** @throws VmmError `chardev` where the file cannot be opened for writing. */
  constructor(ring: CharRing, context: ChardevContext, path: string) {
    super(ring, context);
    this.#path = path;
    // a live update finds the fd with its position in the file
    this.#fd = this.fds.findFd(`${ring.id}.file`) ?? this.#create();
  }

  protected override attach(): void {
    this.openStream(undefined, this.#fd);
  }

  protected override detach(): void {
    this.closeStream();
  }

  protected override release(): void {
    this.fds.deleteFd(`${this.id}.file`);
    close(this.#fd);
  }

  protected override inputEnded(): void {}

  protected override outputFailed(error: SyscallError): void {
    this.warn(`output is discarded from now on: ${this.#path}: ${error.message}`);
    this.closeOutput();
  }

  #create(): number {
    const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    try {
      const fd = open(this.#path, flags, 0o600);
      this.fds.saveFd(`${this.id}.file`, 0, fd);
      return fd;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      const hint = error.code === "ENXIO" ? "; a FIFO needs a reader first" : "";
      throw new VmmError("chardev", `chardev ${this.id}: ${error.message}${hint}`, { cause: error });
    }
  }
}
