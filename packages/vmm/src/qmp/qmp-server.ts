/** The QMP server: several clients at once, one command at a time. */
import { CprError } from "@vmm/cpr";
import { CLOCK_REALTIME, clockGettime, close, SyscallError } from "@vmm/libc";
import { Acceptor, type Reactor } from "../reactor/index.ts";
import { VmmError } from "../vmm-error.ts";
import { COMMANDS, NEGOTIATION } from "./commands/index.ts";
import { NamedFds } from "./named-fds.ts";
import { QmpError } from "./qmp-error.ts";
import type { QmpHost } from "./qmp-host.ts";
import { QmpSession } from "./qmp-session.ts";
import type { QmpRequest } from "./request.ts";
import { versionInfo } from "./version.ts";

export const MAX_CLIENTS = 32;

/** How long clients may take to receive their last answers (ms). */
const CLOSE_MS = 250;

/** Errors that are foreseen: their message is for whoever asked. */
const isForeseen = (error: unknown) =>
  [QmpError, VmmError, CprError, SyscallError].some((kind) => error instanceof kind);

export interface QmpServerOptions {
  /** A listening socket, non-blocking. It stays its owner's. */
  readonly listener: number;
  readonly reactor: Reactor;
  readonly host: QmpHost;
}

function timestamp() {
  const microseconds = clockGettime(CLOCK_REALTIME) / 1000n;
  return {
    seconds: Number(microseconds / 1_000_000n),
    microseconds: Number(microseconds % 1_000_000n),
  };
}

export class QmpServer {
  readonly #reactor: Reactor;
  readonly #host: QmpHost;
  readonly #acceptor: Acceptor;
  readonly #sessions = new Set<QmpSession>();
  readonly #fds = new NamedFds();
  readonly #unlisten: () => void;
  /** The last command of any client that others wait for. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ listener, reactor, host }: QmpServerOptions) {
    this.#reactor = reactor;
    this.#host = host;
    this.#acceptor = new Acceptor(reactor, listener, (fd) => this.#accept(fd));
    this.#unlisten = host.events.on((name, data) => this.#sendEvent(name, data));
  }

  /** How many clients there are. */
  get clients(): number {
    return this.#sessions.size;
  }

  /**
   * Ends the server: nothing more is accepted or read; answers and events that are due still go out, as far as clients
   * take them soon. The listening socket stays open.
   */
  async close(): Promise<void> {
    this.#acceptor.close();
    const due = Promise.all([...this.#sessions].map((session) => session.finish()));
    await Promise.race([due, Bun.sleep(CLOSE_MS)]);
    this.#unlisten();
    for (const session of [...this.#sessions]) session.close();
    this.#fds.closeAll();
  }

  /** Called by sessions. */
  async execute(request: QmpRequest, session: QmpSession): Promise<unknown> {
    const command = COMMANDS.get(request.command);
    if (!command) throw notFound(request.command);
    if (request.oob) throw new QmpError(`The command ${command.name} does not support OOB`);
    const run = () =>
      command.run(request.args, {
        host: this.#host,
        fds: this.#fds,
        takeFd: () => session.takeFd(),
      });
    try {
      return await (command.concurrent ? run() : this.#inTurn(run));
    } catch (error) {
      if (!isForeseen(error)) console.error(`vmm: QMP command ${command.name}:`, error);
      throw error;
    }
  }

  /** Called by sessions. */
  closed(session: QmpSession): void {
    this.#sessions.delete(session);
  }

  #inTurn(run: () => unknown): Promise<unknown> {
    const result = this.#turn.then(run);
    this.#turn = result.catch(() => {});
    return result;
  }

  #accept(fd: number): void {
    if (this.#sessions.size >= MAX_CLIENTS) {
      // it finds the connection closed; there is no QMP for a refusal
      close(fd);
      return;
    }
    const session = new QmpSession(fd, this.#reactor, this);
    this.#sessions.add(session);
    session.greet(versionInfo(this.#host.version));
  }

  #sendEvent(event: string, data: Readonly<Record<string, unknown>>): void {
    if (event === "MIGRATION" && !this.#host.migration.capabilities.events) return;
    const hasData = Object.keys(data).length > 0;
    const message = { timestamp: timestamp(), event, ...(hasData && { data }) };
    for (const session of [...this.#sessions]) session.sendEvent(message);
  }
}

function notFound(name: string): QmpError {
  const text =
    name === NEGOTIATION
      ? "Capabilities negotiation is already complete, command ignored"
      : `The command ${name} has not been found`;
  return new QmpError(text, "CommandNotFound");
}
