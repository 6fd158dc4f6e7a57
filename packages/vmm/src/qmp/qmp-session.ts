/** One client of the QMP server: negotiation, requests in order, answers and events. */
import { close, recvmsg, SyscallError } from "@vmm/libc";
import * as z from "zod/mini";
import type { Reactor, Watch } from "../reactor/index.ts";
import { checkArguments } from "./arguments.ts";
import { NEGOTIATION } from "./commands/index.ts";
import { type JsonItem, type JsonObject, JsonStream, type JsonValue, writeJson } from "./json/index.ts";
import { Outbox } from "./outbox.ts";
import { errorReply, QmpError } from "./qmp-error.ts";
import { isObject, type QmpRequest, readRequest } from "./request.ts";

/** What a session needs of its server. */
export interface SessionServer {
  /** Runs a command of a client that has negotiated. */
  execute(request: QmpRequest, session: QmpSession): unknown;
  /** The session is over. */
  closed(session: QmpSession): void;
}

/** What clients can negotiate (`QMPCapability`). */
const CAPABILITIES = ["oob"] as const;

const negotiationArguments = z.strictObject({ enable: z.optional(z.array(z.enum(CAPABILITIES))) });

const READ_SIZE = 16 * 1024;
/** The most fds with one message. */
const MAX_FDS = 16;

const encoder = new TextEncoder();
const line = (message: unknown) => encoder.encode(`${writeJson(message)}\r\n`);

export class QmpSession {
  readonly fd: number;
  #server: SessionServer;
  #watch: Watch;
  #outbox: Outbox;
  #input = new JsonStream();
  #buffer = new Uint8Array(READ_SIZE);
  #queue: JsonItem[] = [];
  #working: Promise<void> | undefined;
  /** Fds that came with the last message that had some. */
  #fds: number[] = [];
  #negotiated = false;
  #oob = false;
  #ended = false;
  #open = true;

  /** @param fd A connection, non-blocking; it belongs to the session from here on. */
  constructor(fd: number, reactor: Reactor, server: SessionServer) {
    this.fd = fd;
    this.#server = server;
    this.#watch = reactor.watch(fd, {
      readable: () => this.#readable(),
      writable: () => this.#flush(),
      hangup: () => this.close(),
    });
    this.#outbox = new Outbox(
      fd,
      () => this.#watch.awaitWritable(),
      () => this.close(),
    );
  }

  /** The first that a client hears. */
  greet(version: object): void {
    this.#send({ QMP: { version, capabilities: CAPABILITIES } });
  }

  /** Sends an event, where the client is through with negotiation. */
  sendEvent(event: object): void {
    if (this.#negotiated) this.#send(event);
  }

  /** Takes the first of the fds that came with the client's last message, and closes the others. */
  takeFd(): number | undefined {
    const fd = this.#fds.shift();
    this.#closeFds();
    return fd;
  }

  /** Resolves when the requests that came are answered and their answers are out. Nothing more is read. */
  async finish(): Promise<void> {
    this.#ended = true;
    this.#watch.pauseReading();
    await this.#working;
    while (this.#open && this.#outbox.size > 0) await Bun.sleep(1);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#queue = [];
    this.#outbox.close();
    this.#watch.close();
    this.#closeFds();
    close(this.fd);
    this.#server.closed(this);
  }

  #readable(): void {
    const length = this.#receive();
    if (length === undefined) return;
    if (length === 0) {
      this.#end();
      return;
    }
    this.#queue.push(...this.#input.feed(this.#buffer.subarray(0, length)));
    if (this.#queue.length > 0 && !this.#working) this.#working = this.#work();
  }

  #receive(): number | undefined {
    try {
      const message = recvmsg(this.fd, this.#buffer, MAX_FDS);
      if (message && message.fds.length > 0) {
        this.#closeFds();
        this.#fds = message.fds;
      }
      return message?.length;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.close();
      return undefined;
    }
  }

  /** Nothing more comes. What was asked is answered by now; the answers may still have to go. */
  #end(): void {
    this.#ended = true;
    this.#watch.pauseReading();
    if (this.#outbox.size === 0) this.close();
  }

  /** Answers what is in the queue. Nothing is read meanwhile, so that the queue stays short. */
  async #work(): Promise<void> {
    this.#watch.pauseReading();
    for (let item = this.#queue.shift(); item && this.#open; item = this.#queue.shift()) {
      await this.#answer(item);
      await this.#outbox.room();
    }
    this.#working = undefined;
    if (this.#open && !this.#ended) this.#watch.resumeReading();
  }

  async #answer(item: JsonItem): Promise<void> {
    if ("error" in item) {
      this.#send({ error: errorReply(item.error) });
      return;
    }
    const id = isObject(item.value) ? item.value.id : undefined;
    try {
      const result = (await this.#execute(item.value)) ?? {};
      this.#send({ return: result, id });
    } catch (error) {
      this.#send({ id, error: errorReply(error) });
    }
  }

  #execute(value: JsonValue): unknown {
    const request = readRequest(value, this.#oob);
    if (this.#negotiated) return this.#server.execute(request, this);
    if (request.command !== NEGOTIATION) {
      throw new QmpError(`Expecting capabilities negotiation with '${NEGOTIATION}'`, "CommandNotFound");
    }
    this.#negotiate(request.args);
    return undefined;
  }

  #negotiate(args: JsonObject): void {
    const { enable = [] } = checkArguments(negotiationArguments, args);
    this.#oob = enable.includes("oob");
    this.#negotiated = true;
  }

  #send(message: object): void {
    if (this.#open) this.#outbox.send(line(message));
  }

  #flush(): void {
    this.#outbox.flush();
    if (this.#ended && !this.#working && this.#outbox.size === 0) this.close();
  }

  #closeFds(): void {
    for (const fd of this.#fds.splice(0)) close(fd);
  }
}
