import { close, type SyscallError, unlink } from "@vmm/libc";
import { Acceptor, connectIfListening, listenUnix } from "../../reactor/index.ts";
import { VmmError } from "../../vmm-error.ts";
import type { CharRing } from "../char-ring.ts";
import type { ChardevContext } from "../chardev.ts";
import { StreamBackend } from "../stream-backend.ts";

/**
 * A stream socket in the file system. Where somebody listens at the path it is a connection to them; else it listens
 * itself, as QEMU does with `server=on,wait=off`: one client at a time, the next waits in the backlog, and what the guest
 * writes while there is none is discarded.
 */
export class UnixChardev extends StreamBackend {
  readonly #path: string;
  readonly #listener: number | undefined;
  #connection: number | undefined;
  #acceptor: Acceptor | undefined;

  /** @throws VmmError `chardev` where the path cannot be used. */
  constructor(ring: CharRing, context: ChardevContext, path: string) {
    super(ring, context);
    this.#path = path;
    this.#listener = this.fds.findFd(`${ring.id}.listen`);
    this.#connection = this.fds.findFd(`${ring.id}.client`);
    if (this.#listener !== undefined || this.#connection !== undefined) return;
    try {
      this.#connection = connectIfListening(path);
      if (this.#connection === undefined) this.#listener = listenUnix(path);
    } catch (error) {
      throw new VmmError("chardev", `chardev ${this.id}: ${(error as Error).message}`, { cause: error });
    }
    if (this.#listener !== undefined) this.fds.saveFd(`${ring.id}.listen`, 0, this.#listener);
    if (this.#connection !== undefined) this.fds.saveFd(`${ring.id}.client`, 0, this.#connection);
  }

  protected override get filename(): string {
    const address = `unix:${this.#path}${this.#listener === undefined ? "" : ",server=on"}`;
    return this.#connection === undefined ? `disconnected:${address}` : address;
  }

  protected override attach(): void {
    if (this.#listener !== undefined) {
      this.#acceptor = new Acceptor(this.reactor, this.#listener, (fd) => this.#accept(fd));
    }
    if (this.#connection !== undefined) this.#open(this.#connection);
  }

  protected override detach(): void {
    this.#acceptor?.close();
    this.#acceptor = undefined;
    this.closeStream();
  }

  protected override release(handedOver: boolean): void {
    this.#hangUp();
    if (this.#listener === undefined) return;
    this.fds.deleteFd(`${this.id}.listen`);
    close(this.#listener);
    if (!handedOver) unlink(this.#path);
  }

  protected override inputEnded(): void {
    this.#hangUp();
    this.#acceptor?.resume();
  }

  protected override outputFailed(_error: SyscallError): void {
    this.inputEnded();
  }

  #accept(connection: number): void {
    this.#connection = connection;
    this.fds.saveFd(`${this.id}.client`, 0, connection);
    this.#open(connection);
  }

  #open(connection: number): void {
    this.#acceptor?.pause();
    this.openStream(connection, connection);
  }

  #hangUp(): void {
    this.closeStream();
    if (this.#connection === undefined) return;
    this.fds.deleteFd(`${this.id}.client`);
    close(this.#connection);
    this.#connection = undefined;
  }
}
