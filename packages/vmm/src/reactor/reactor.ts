/**
 * Raw fds on the main thread's event loop. Bun cannot poll an fd that it did not open, so one Worker sits in epoll_wait
 * and posts which fds are ready; all reading and writing is the main thread's, on non-blocking fds.
 *
 * The thread starts with the first watch. While the reactor is open it keeps the process alive.
 */
import {
  close,
  EFD_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLLIN,
  epollCreate,
  epollCtl,
  eventfd,
  eventfdWrite,
} from "@vmm/libc";
import { workerUrl } from "../worker-url.ts";
import { type ReactorStart, type ReadyMessage, STOP_ID } from "./protocol.ts";
import { Watch, type WatchHandlers } from "./watch.ts";

export interface ReactorOptions {
  /** Hears what a handler throws. By default it is reported as an uncaught error. */
  readonly onError?: (error: unknown) => void;
}

export class Reactor {
  #epoll = epollCreate();
  #stop = eventfd(0, EFD_CLOEXEC);
  #watches = new Map<number, Watch>();
  #nextId = STOP_ID + 1;
  #worker: Worker | undefined;
  #closed: Promise<void> | undefined;
  #onError: (error: unknown) => void;

  constructor(options: ReactorOptions = {}) {
    this.#onError = options.onError ?? reportError;
    epollCtl(this.#epoll, EPOLL_CTL_ADD, this.#stop, EPOLLIN, STOP_ID);
  }

  /** How many fds are watched. */
  get size(): number {
    return this.#watches.size;
  }

  /**
   * Watches an fd. It waits for reading at once where there is a `readable` handler.
   *
   * End the watch before the fd is closed.
   *
   * @throws SyscallError EPERM for a regular file or directory, which epoll does not take: those are always ready.
   */
  watch(fd: number, handlers: WatchHandlers): Watch {
    if (this.#closed) throw new Error(`fd ${fd} cannot be watched: the reactor is closed`);
    const id = this.#nextId++;
    const watch = new Watch(this.#epoll, fd, id, handlers, () => this.#watches.delete(id));
    this.#watches.set(id, watch);
    this.#worker ??= this.#start();
    return watch;
  }

  /** Ends all watches and the thread; resolves when both are gone. The fds stay open. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  #start(): Worker {
    const worker = new Worker(workerUrl("reactor-worker"));
    worker.onmessage = ({ data }: MessageEvent<ReadyMessage>) => this.#dispatch(data);
    worker.onerror = ({ message }) => this.#onError(new Error(`the reactor's thread died: ${message}`));
    worker.postMessage({ epoll: this.#epoll } satisfies ReactorStart);
    return worker;
  }

  #dispatch(ready: ReadyMessage): void {
    for (let i = 0; i + 1 < ready.length; i += 2) {
      try {
        this.#watches.get(ready[i] as number)?.serve(ready[i + 1] as number);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  async #end(): Promise<void> {
    for (const watch of [...this.#watches.values()]) watch.close();
    const worker = this.#worker;
    if (worker) {
      const { promise, resolve } = Promise.withResolvers<void>();
      worker.addEventListener("message", ({ data }: MessageEvent<ReadyMessage>) => {
        for (let i = 0; i < data.length; i += 2) if (data[i] === STOP_ID) resolve();
      });
      worker.onerror = () => resolve();
      eventfdWrite(this.#stop);
      await promise;
      worker.terminate();
    }
    close(this.#stop);
    close(this.#epoll);
  }
}
