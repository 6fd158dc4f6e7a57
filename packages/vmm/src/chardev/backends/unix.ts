import type { FdTable } from "@vmm/cpr";
import { close, type SyscallError, unlink } from "@vmm/libc";
import { Acceptor, connectIfListening, listenUnix } from "../../reactor/index.ts";
import { VmmError } from "../../vmm-error.ts";
import type { CharRing } from "../char-ring.ts";
import type { ChardevContext } from "../chardev.ts";
import type { ChardevRole } from "../role.ts";
import { StreamBackend } from "../stream-backend.ts";

const listenerOf = (id: string) => `${id}.listen`;
const clientOf = (id: string) => `${id}.client`;

/** What to do where the socket of a guest that comes in cannot be had. */
const HELP = "for another: vmm start --incoming file:FILE --serial unix:PATH";

/** As `ChardevRole` says; left out, it is the client of whoever listens there, and listens where nobody does. */
function socketAs(role: ChardevRole | undefined, path: string): { fd: number; role: ChardevRole } {
  const connection = role === "server" ? undefined : connectIfListening(path);
  if (connection !== undefined) return { fd: connection, role: "client" };
  if (role === "client") throw new Error(`nobody listens at ${path}, where it was a client`);
  return { fd: listenUnix(path), role: "server" };
}

/**
 * Opens the socket of a chardev, and saves it in the table.
 *
 * @param role The one that it must have, of a guest that comes in.
 * @throws VmmError `chardev` where the path cannot be used, or not in that role.
 */
export function openUnix(fds: FdTable, id: string, path: string, role?: ChardevRole): void {
  try {
    const socket = socketAs(role, path);
    fds.saveFd(socket.role === "server" ? listenerOf(id) : clientOf(id), 0, socket.fd);
  } catch (error) {
    const help = role === undefined ? "" : `; ${HELP}`;
    throw new VmmError("chardev", `chardev ${id}: ${(error as Error).message}${help}`, { cause: error });
  }
}

/** Closes what is open of it. @param keepPath Another process has the listening socket now. */
export function closeUnix(fds: FdTable, id: string, path: string, keepPath = false): void {
  for (const name of [clientOf(id), listenerOf(id)]) {
    const fd = fds.findFd(name);
    if (fd === undefined) continue;
    fds.deleteFd(name);
    close(fd);
    if (name === listenerOf(id) && !keepPath) unlink(path);
  }
}

/**
 * A stream socket in the file system. Where somebody listens at the path it is a connection to them; else it listens
 * itself, as QEMU does with `server=on,wait=off`: one client at a time, the next waits in the backlog, and what the guest
 * writes while there is none is discarded.
 */
export class UnixChardev extends StreamBackend {
  readonly #path: string;
  readonly #incoming: boolean;
  #acceptor: Acceptor | undefined;
  #opened = false;

  constructor(ring: CharRing, context: ChardevContext, path: string) {
    super(ring, context);
    this.#path = path;
    this.#incoming = context.incoming ?? false;
  }

  get role(): ChardevRole {
    return this.#listener === undefined ? "client" : "server";
  }

  get #listener(): number | undefined {
    return this.fds.findFd(listenerOf(this.id));
  }

  get #connection(): number | undefined {
    return this.fds.findFd(clientOf(this.id));
  }

  protected override get filename(): string {
    const address = `unix:${this.#path}${this.role === "client" ? "" : ",server=on"}`;
    return this.#connection === undefined ? `disconnected:${address}` : address;
  }

  protected override attach(): void {
    this.#openOnce();
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
    closeUnix(this.fds, this.id, this.#path, handedOver);
  }

  protected override inputEnded(): void {
    this.#hangUp();
    this.#acceptor?.resume();
  }

  protected override outputFailed(_error: SyscallError): void {
    this.inputEnded();
  }

  /** A client whose server had gone before the guest came here has nothing in the table, and stays without. */
  #openOnce(): void {
    const isThere = this.#opened || this.#listener !== undefined || this.#connection !== undefined;
    if (!isThere && !this.#incoming) openUnix(this.fds, this.id, this.#path);
    this.#opened = true;
  }

  #accept(connection: number): void {
    this.fds.saveFd(clientOf(this.id), 0, connection);
    this.#open(connection);
  }

  #open(connection: number): void {
    this.#acceptor?.pause();
    this.openStream(connection, connection);
  }

  #hangUp(): void {
    this.closeStream();
    const connection = this.#connection;
    if (connection === undefined) return;
    this.fds.deleteFd(clientOf(this.id));
    close(connection);
  }
}
