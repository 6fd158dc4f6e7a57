import type { FdTable } from "@vmm/cpr";
import { read, SyscallError } from "@vmm/libc";
import type { DeviceLock } from "../device/device-lock.ts";
import type { Reactor } from "../reactor/index.ts";
import type { CharRing } from "./char-ring.ts";
import type { Chardev, ChardevContext, ChardevInfo } from "./chardev.ts";

const CHUNK = 4096;

/**
 * After the doorbell was served, it is left unanswered for so long, and the ring looked at instead (ms): waking this
 * thread costs the vCPU that rings as much as a whole exit, and a guest that prints would do it for each character.
 */
const QUIET_MS = 1;

/** How an attempt to read for the guest went. */
export type Received = "some" | "nothing" | "full" | "end";

/** What all backends have in common: the order of things around the ring. */
export abstract class CharBackend implements Chardev {
  readonly id: string;
  protected readonly ring: CharRing;
  protected readonly reactor: Reactor;
  protected readonly fds: FdTable;
  readonly #lock: DeviceLock;
  readonly #warn: (message: string) => void;
  readonly #buffer = new Uint8Array(CHUNK);
  #active = false;
  #closed = false;
  #quiet: Timer | undefined;
  /** The ring's position when it was last looked at. */
  #seen = 0;

  constructor(ring: CharRing, context: ChardevContext) {
    this.id = ring.id;
    this.ring = ring;
    this.reactor = context.reactor;
    this.fds = context.fds;
    this.#lock = context.lock;
    this.#warn = context.warn ?? console.error;
  }

  start(): void {
    if (this.#active) return;
    this.#lock.with(() => this.ring.repair());
    try {
      this.attach();
      this.#active = true;
      this.doorbell();
    } catch (error) {
      clearTimeout(this.#quiet);
      this.#active = false;
      this.detach();
      throw error;
    }
  }

  doorbell(): void {
    if (!this.#active || this.#quiet) return;
    this.#seen = this.ring.written;
    this.#serve();
    this.#quiet = setTimeout(() => this.#listenAgain(), QUIET_MS);
  }

  #listenAgain(): void {
    this.#quiet = undefined;
    if (this.ring.written !== this.#seen) {
      this.doorbell();
    } else {
      // first: what the guest does from here on rings again
      this.ring.answer();
      this.#serve();
    }
  }

  #serve(): void {
    this.flush();
    this.resumeInput();
    this.roomMade();
  }

  pauseForExec(): void {
    if (!this.#active) return;
    clearTimeout(this.#quiet);
    this.#quiet = undefined;
    this.flush();
    this.#active = false;
    this.detach();
  }

  close(handedOver = false): void {
    if (this.#closed) return;
    this.#closed = true;
    this.pauseForExec();
    this.release(handedOver);
  }

  info(): ChardevInfo {
    return { label: this.id, filename: this.filename, "frontend-open": true };
  }

  /** As `ChardevInfo` has it. */
  protected abstract get filename(): string;
  /** Begins to wait for fds. */
  protected abstract attach(): void;
  /** Ends all waiting, and leaves the fds as an exec should find them. */
  protected abstract detach(): void;
  /** Closes fds, after `detach`. */
  protected abstract release(handedOver: boolean): void;
  /** Takes from the ring what can be taken now. */
  protected abstract flush(): void;
  /** The ring may have space for input again. */
  protected resumeInput(): void {}

  /** Tells the port where it has waited for the room that there is now. */
  protected roomMade(): void {
    if (this.ring.takeRoomAwaited()) this.#lock.with(() => this.ring.notify());
  }

  /**
   * Reads what there is for the guest, as far as the ring has space.
   *
   * @returns `full`: no space, so stop reading until `resumeInput`; `end`: nothing more will come.
   */
  protected receive(fd: number): Received {
    if (this.ring.space === 0 && !this.ring.awaitSpace()) return "full";
    const chunk = this.#buffer.subarray(0, Math.min(this.ring.space, CHUNK));
    let length: number | undefined;
    try {
      length = read(fd, chunk);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      return "end";
    }
    if (length === undefined) return "nothing";
    if (length === 0) return "end";
    this.ring.push(chunk.subarray(0, length));
    this.#lock.with(() => this.ring.notify());
    return "some";
  }

  protected warn(message: string): void {
    this.#warn(`vmm: chardev ${this.id}: ${message}`);
  }
}
