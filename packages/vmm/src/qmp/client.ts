/** A QMP client, for our own tools, tests and measurements. It needs neither schemas nor system calls of its own. */
import { QmpError, type QmpErrorClass } from "./qmp-error.ts";

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly timestamp: { readonly seconds: number; readonly microseconds: number };
}

export interface QmpClientOptions {
  /** For connecting, the greeting and negotiation (ms). */
  readonly timeoutMs?: number;
}

interface Message {
  readonly QMP?: object;
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly class: QmpErrorClass; readonly desc: string };
  readonly event?: string;
}

/** The connection is gone, or never was. */
export class QmpConnectionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "QmpConnectionError";
  }
}

const TIMEOUT_MS = 10_000;
/** The longest message, and the most events that wait to be taken. */
const MAX_MESSAGE = 64 << 20;
const MAX_EVENTS = 4096;

type Pending = { resolve(value: unknown): void; reject(error: Error): void };

export class QmpClient {
  /** Resolves when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  #socket: Bun.Socket | undefined;
  #unsent: Uint8Array[] = [];
  #text = "";
  #decoder = new TextDecoder();
  #nextId = 1;
  #pending = new Map<number, Pending>();
  #greeting = Promise.withResolvers<object>();
  #listeners = new Set<(event: QmpEvent) => void>();
  #setClosed: () => void;
  #isClosed = false;

  private constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#setClosed = resolve;
    this.#greeting.promise.catch(() => {});
  }

  /**
   * Connects and negotiates.
   *
   * @param path The server's socket.
   * @throws QmpConnectionError where nobody listens, or nobody answers in time.
   */
  static async connect(path: string, { timeoutMs = TIMEOUT_MS }: QmpClientOptions = {}): Promise<QmpClient> {
    const client = new QmpClient();
    const timer = setTimeout(
      () => client.#end(`no answer from ${path} within ${Math.ceil(timeoutMs)} ms`),
      timeoutMs,
    );
    try {
      await client.#open(path);
      await client.#greeting.promise;
      await client.execute("qmp_capabilities");
      return client;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** What the server said first: its `QMP` object. */
  get greeting(): Promise<object> {
    return this.#greeting.promise;
  }

  /**
   * Runs a command.
   *
   * @throws QmpError where the server refuses, QmpConnectionError where the connection ends before the answer.
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(new QmpConnectionError("the connection is closed"));
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { resolve, reject });
    this.#write(`${JSON.stringify({ execute: command, arguments: args, id })}\r\n`);
    return promise;
  }

  /** Calls `listener` for every event; the result ends that. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The events from now on, until the connection ends. Where 4096 wait to be taken the oldest are dropped. */
  events(): AsyncIterableIterator<QmpEvent> {
    const waiting: QmpEvent[] = [];
    let wake = () => {};
    const stop = this.onEvent((event) => {
      if (waiting.push(event) > MAX_EVENTS) waiting.shift();
      wake();
    });
    const next = async (): Promise<IteratorResult<QmpEvent>> => {
      while (waiting.length === 0 && !this.#isClosed) {
        await Promise.race([this.closed, new Promise<void>((resolve) => (wake = resolve))]);
      }
      const value = waiting.shift();
      return value ? { done: false, value } : { done: true, value: undefined };
    };
    return {
      next,
      async return() {
        stop();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  close(): void {
    this.#end("the connection was closed");
  }

  async #open(path: string): Promise<void> {
    try {
      const socket = await Bun.connect({
        unix: path,
        socket: {
          data: (_socket, bytes) => this.#receive(bytes),
          drain: () => this.#flush(),
          close: () => this.#end("the VMM closed the connection"),
          error: (_socket, error) => this.#end(error.message),
        },
      });
      if (this.#isClosed) socket.terminate();
      else this.#socket = socket;
    } catch (cause) {
      const { code } = cause as { code?: string };
      throw new QmpConnectionError(code ?? (cause as Error).message, { cause });
    }
  }

  #write(text: string): void {
    this.#unsent.push(new TextEncoder().encode(text));
    this.#flush();
  }

  #flush(): void {
    for (let chunk = this.#unsent[0]; chunk; chunk = this.#unsent[0]) {
      const written = this.#socket?.write(chunk) ?? 0;
      if (written < chunk.length) {
        this.#unsent[0] = chunk.subarray(Math.max(0, written));
        return;
      }
      this.#unsent.shift();
    }
  }

  #receive(bytes: Uint8Array): void {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    const lines = this.#text.split("\n");
    this.#text = lines.pop() as string;
    for (const line of lines) if (line.trim() !== "") this.#dispatch(line);
    if (this.#text.length > MAX_MESSAGE) this.#end("a message is too long");
  }

  #dispatch(line: string): void {
    const message = parseMessage(line);
    if (!message) this.#end("what answers does not speak QMP");
    else if (message.QMP) this.#greeting.resolve(message.QMP);
    else if (message.event !== undefined) {
      for (const listener of this.#listeners) listener(message as unknown as QmpEvent);
    } else this.#answer(message);
  }

  #answer({ id, error, return: result }: Message): void {
    const pending = id === undefined ? undefined : this.#pending.get(id);
    if (!pending || id === undefined) return;
    this.#pending.delete(id);
    if (error) pending.reject(new QmpError(error.desc, error.class));
    else pending.resolve(result);
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket?.end();
    const error = new QmpConnectionError(reason);
    this.#greeting.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#setClosed();
  }
}

function parseMessage(line: string): Message | undefined {
  try {
    const message: unknown = JSON.parse(line);
    return typeof message === "object" && message !== null ? message : undefined;
  } catch {
    return undefined;
  }
}
