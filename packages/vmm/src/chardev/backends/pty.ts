import { close, POLLHUP, poll, type SyscallError } from "@vmm/libc";
import { VmmError } from "../../vmm-error.ts";
import type { CharRing } from "../char-ring.ts";
import type { ChardevContext } from "../chardev.ts";
import { openPty, ptyPath } from "../pty.ts";
import { StreamBackend } from "../stream-backend.ts";

/** Nothing tells the master when the other end is opened again, so it looks now and then. */
const LOOK_MS = 250;

/**
 * How often to try to write while the other end's buffer is full: the kernel wakes the master's writers only when the
 * buffer had been throttled, so an EPOLLOUT may never come.
 */
const RETRY_MS = 10;

/** A pseudo-terminal: somebody opens its other end. While nobody has, what the guest writes is discarded. */
export class PtyChardev extends StreamBackend {
  /** The other end, such as `/dev/pts/3`. */
  readonly path: string;
  readonly #master: number;
  #connected = false;
  #timer: Timer | undefined;
  #retry: Timer | undefined;

  /** @throws VmmError `chardev` where there is no pty to be had. */
  constructor(ring: CharRing, context: ChardevContext) {
    super(ring, context);
    this.#master = this.fds.findFd(`${ring.id}.pty`) ?? this.#create();
    this.path = ptyPath(this.#master);
  }

  protected override get filename(): string {
    return `pty:${this.path}`;
  }

  protected override attach(): void {
    this.#look();
  }

  protected override detach(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    this.#connected = false;
    this.closeStream();
  }

  protected override release(): void {
    this.fds.deleteFd(`${this.id}.pty`);
    close(this.#master);
  }

  /** The guest may be first to see that somebody is there. */
  protected override flush(): void {
    if (!this.#connected && this.#timer) this.#look();
    super.flush();
    clearTimeout(this.#retry);
    if (this.ring.undrained > 0) this.#retry = setTimeout(() => this.doorbell(), RETRY_MS);
  }

  protected override inputEnded(): void {
    this.#connected = false;
    this.closeStream();
    this.#look();
  }

  protected override outputFailed(_error: SyscallError): void {
    this.inputEnded();
  }

  #look(): void {
    clearTimeout(this.#timer);
    if (poll(this.#master, 0, 0) & POLLHUP) {
      this.#timer = setTimeout(() => this.#look(), LOOK_MS);
      return;
    }
    this.#timer = undefined;
    this.#connected = true;
    this.openStream(this.#master, this.#master);
  }

  #create(): number {
    try {
      const master = openPty();
      this.fds.saveFd(`${this.id}.pty`, 0, master);
      return master;
    } catch (error) {
      throw new VmmError("chardev", `chardev ${this.id}: ${(error as Error).message}`, { cause: error });
    }
  }
}
