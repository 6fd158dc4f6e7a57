import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  epollCtl,
} from "@vmm/libc";

/**
 * What to do when a watched fd is ready. Handlers run in the main thread and may end the watch. Now and then one is
 * called though nothing is there, so fds must be non-blocking.
 */
export interface WatchHandlers {
  /** There is something to read, or the end of the file. It need not read all: it is called again for the rest. */
  readable?(): void;
  /** There is room to write. Called once per `awaitWritable`. */
  writable?(): void;
  /**
   * The other end is gone, or the fd is in error, and nothing is left to read. The watch then rests until it is told to
   * wait for something again.
   */
  hangup?(): void;
}

/** One watched fd. A watch that waits for nothing hears of nothing, not even of a hang-up. */
export class Watch {
  readonly fd: number;
  #epoll: number;
  #id: number;
  #handlers: WatchHandlers;
  #forget: () => void;
  #reading: boolean;
  #writing = false;
  /** While handlers run the kernel has disarmed the fd; it is armed once, after them. */
  #serving = false;
  #open = true;

  /** Made by `Reactor.watch`. */
  constructor(epoll: number, fd: number, id: number, handlers: WatchHandlers, forget: () => void) {
    this.fd = fd;
    this.#epoll = epoll;
    this.#id = id;
    this.#handlers = handlers;
    this.#forget = forget;
    this.#reading = handlers.readable !== undefined;
    epollCtl(epoll, EPOLL_CTL_ADD, fd, this.#interest(), id);
  }

  /** Stops calling `readable`, as when there is no room for what would be read. */
  pauseReading(): void {
    this.#want(false, this.#writing);
  }

  resumeReading(): void {
    this.#want(true, this.#writing);
  }

  /** Calls `writable` once, as soon as there is room. */
  awaitWritable(): void {
    this.#want(this.#reading, true);
  }

  /** Ends the watch: no handler is called any more, not even for what was under way. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#forget();
    epollCtl(this.#epoll, EPOLL_CTL_DEL, this.fd);
  }

  /** Calls the handlers. @param events EPOLL* bits. */
  serve(events: number): void {
    if (!this.#waits) return;
    const readable = (events & EPOLLIN) !== 0 && this.#reading;
    this.#serving = true;
    try {
      if (readable) this.#handlers.readable?.();
      if (events & EPOLLOUT && this.#writing && this.#open) {
        this.#writing = false;
        this.#handlers.writable?.();
      }
      if (events & (EPOLLHUP | EPOLLERR) && !readable) this.#hangUp();
    } finally {
      this.#serving = false;
      this.#arm();
    }
  }

  /** A hang-up stays for ever: to go on waiting would be a storm. */
  #hangUp(): void {
    this.#reading = false;
    this.#writing = false;
    if (this.#open) this.#handlers.hangup?.();
  }

  get #waits(): boolean {
    return this.#open && (this.#reading || this.#writing);
  }

  #want(reading: boolean, writing: boolean): void {
    const more = (reading && !this.#reading) || (writing && !this.#writing);
    this.#reading = reading;
    this.#writing = writing;
    if (more && !this.#serving) this.#arm();
  }

  /**
   * Arms the fd where it waits for something. There is no way to disarm one: an fd that was armed and waits for nothing
   * any more reports once, and `serve` takes no notice.
   */
  #arm(): void {
    if (this.#waits) epollCtl(this.#epoll, EPOLL_CTL_MOD, this.fd, this.#interest(), this.#id);
  }

  #interest(): number {
    return (this.#reading ? EPOLLIN : 0) | (this.#writing ? EPOLLOUT : 0) | EPOLLONESHOT;
  }
}
