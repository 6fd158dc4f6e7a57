import { close, SyscallError, unlink, write, writeAll } from "@vmm/libc";
import { Acceptor, listenUnix, type Watch } from "../../reactor/index.ts";
import { VmmError } from "../../vmm-error.ts";
import { CharBackend } from "../char-backend.ts";
import { type CharRing, MAX_READERS } from "../char-ring.ts";
import type { ChardevContext } from "../chardev.ts";

/** The most bytes written to a client at once, so that no client keeps the others waiting. */
const CHUNK = 16 * 1024;

interface Client {
  readonly fd: number;
  /** Its place among the ring's readers, and its id in the fd table. */
  readonly slot: number;
  watch: Watch | undefined;
  /** Its socket is full. */
  blocked: boolean;
}

/**
 * The VM's console: a listening socket in its folder, for several clients at once. Each gets the history first and then
 * all that the guest writes; what any of them sends goes to the guest. A client that falls further behind than the
 * history reaches is dropped: the guest never waits for one.
 *
 * The clients too are carried over by a live update, each with the position up to which it was served.
 */
export class ConsoleChardev extends CharBackend {
  readonly #path: string;
  readonly #listener: number;
  readonly #clients = new Map<number, Client>();
  #acceptor: Acceptor | undefined;

  /** @throws VmmError `chardev` where the socket cannot be made. */
  constructor(ring: CharRing, context: ChardevContext) {
    super(ring, context);
    this.#path = `${context.folder}/${ring.id === "serial0" ? "console" : `console-${ring.id}`}.sock`;
    this.#listener = this.fds.findFd(`${ring.id}.listen`) ?? this.#create();
    for (let slot = 0; slot < MAX_READERS; slot++) {
      const fd = this.fds.findFd(`${ring.id}.client`, slot);
      if (fd !== undefined) this.#clients.set(slot, { fd, slot, watch: undefined, blocked: false });
    }
  }

  /** How many clients there are. */
  get clients(): number {
    return this.#clients.size;
  }

  protected override get filename(): string {
    return `unix:${this.#path},server=on`;
  }

  protected override attach(): void {
    this.#acceptor = new Acceptor(this.reactor, this.#listener, (fd) => this.#accept(fd));
    for (const client of this.#clients.values()) this.#watch(client);
  }

  protected override detach(): void {
    this.#acceptor?.close();
    for (const client of this.#clients.values()) client.watch?.close();
  }

  protected override release(handedOver: boolean): void {
    for (const client of [...this.#clients.values()]) this.#drop(client);
    this.fds.deleteFd(`${this.id}.listen`);
    close(this.#listener);
    if (!handedOver) unlink(this.#path);
  }

  protected override flush(): void {
    for (const client of [...this.#clients.values()])
      if (!client.blocked || this.#isBehind(client)) this.#serve(client);
    this.ring.discard();
  }

  protected override resumeInput(): void {
    if (this.ring.space > 0) for (const { watch } of this.#clients.values()) watch?.resumeReading();
  }

  #create(): number {
    try {
      const fd = listenUnix(this.#path);
      this.fds.saveFd(`${this.id}.listen`, 0, fd);
      return fd;
    } catch (error) {
      throw new VmmError("chardev", `console of ${this.id}: ${(error as Error).message}`, { cause: error });
    }
  }

  #accept(fd: number): void {
    const slot = Array.from({ length: MAX_READERS }, (_, i) => i).find((i) => !this.#clients.has(i));
    if (slot === undefined) {
      refuse(fd);
      return;
    }
    const client: Client = { fd, slot, watch: undefined, blocked: false };
    this.#clients.set(slot, client);
    this.fds.saveFd(`${this.id}.client`, slot, fd);
    this.ring.setReaderPosition(slot, this.ring.oldest);
    this.#watch(client);
    this.#serve(client);
  }

  #watch(client: Client): void {
    client.blocked = false;
    client.watch = this.reactor.watch(client.fd, {
      readable: () => this.#receive(client),
      writable: () => this.#serve(client),
      hangup: () => this.#drop(client),
    });
  }

  #receive(client: Client): void {
    const result = this.receive(client.fd);
    if (result === "full") client.watch?.pauseReading();
    else if (result === "end") this.#drop(client);
  }

  #isBehind(client: Client): boolean {
    return this.ring.copyFrom(this.ring.readerPosition(client.slot), 0) === undefined;
  }

  /** Writes to a client what it has not seen, as far as its socket has room. What comes meanwhile rings again. */
  #serve(client: Client): void {
    client.blocked = false;
    const end = this.ring.written;
    let position = this.ring.readerPosition(client.slot);
    while (position !== end) {
      const chunk = this.ring.copyFrom(position, Math.min((end - position) >>> 0, CHUNK));
      if (!chunk) {
        this.#drop(client);
        return;
      }
      const written = this.#write(client, chunk);
      if (written === undefined) return;
      position = (position + written) >>> 0;
      this.ring.setReaderPosition(client.slot, position);
    }
  }

  #write(client: Client, chunk: Uint8Array): number | undefined {
    try {
      const written = write(client.fd, chunk);
      if (written === undefined) {
        client.blocked = true;
        client.watch?.awaitWritable();
      }
      return written;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#drop(client);
      return undefined;
    }
  }

  #drop(client: Client): void {
    if (!this.#clients.delete(client.slot)) return;
    client.watch?.close();
    this.fds.deleteFd(`${this.id}.client`, client.slot);
    close(client.fd);
  }
}

/** A new connection's socket is empty, so the line fits. */
function refuse(fd: number): void {
  try {
    writeAll(
      fd,
      new TextEncoder().encode(`vmm: the console has ${MAX_READERS} clients, which is the limit\r\n`),
    );
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
  } finally {
    close(fd);
  }
}
