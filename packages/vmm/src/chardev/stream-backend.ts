import { isSyscallError, SyscallError, write } from "@vmm/libc";
import type { Watch, WatchHandlers } from "../reactor/index.ts";
import { CharBackend, type Received } from "./char-backend.ts";

/** A backend whose characters go through one stream: one fd for both directions, or one for each. */
export abstract class StreamBackend extends CharBackend {
  #input: number | undefined;
  #output: number | undefined;
  #inputWatch: Watch | undefined;
  #outputWatch: Watch | undefined;

  /** Called when the input came to its end, or the other side hung up. */
  protected abstract inputEnded(): void;
  /** Called when output cannot be written. What the guest wrote is discarded until another stream is opened. */
  protected abstract outputFailed(error: SyscallError): void;

  /** Begins to use non-blocking fds. */
  protected openStream(input: number | undefined, output: number | undefined): void {
    this.#input = input;
    this.#output = output;
    const read: WatchHandlers = { readable: () => this.#receive(), hangup: () => this.#end() };
    const write: WatchHandlers = { writable: () => this.#continue(), hangup: () => this.#continue() };
    if (input !== undefined && input === output) {
      this.#inputWatch = this.#outputWatch = this.#watch(input, { ...write, ...read });
      return;
    }
    if (input !== undefined) this.#inputWatch = this.#watch(input, read);
    if (output !== undefined) this.#outputWatch = this.#watch(output, write);
  }

  /** Stops using the fds; they stay open. */
  protected closeStream(): void {
    this.#inputWatch?.close();
    this.#outputWatch?.close();
    this.#inputWatch = undefined;
    this.#outputWatch = undefined;
    this.#input = undefined;
    this.#output = undefined;
  }

  protected override flush(): void {
    if (this.#output === undefined) this.ring.discard();
    else this.ring.drain((bytes) => this.#write(bytes));
  }

  protected override resumeInput(): void {
    if (this.ring.space === 0) return;
    if (this.#inputWatch) this.#inputWatch.resumeReading();
    // a regular file: there is nothing to wait for
    else while (this.#input !== undefined && this.#receive() === "some");
  }

  /** Ends input alone. */
  protected closeInput(): void {
    if (this.#inputWatch !== this.#outputWatch) this.#inputWatch?.close();
    else this.#inputWatch?.pauseReading();
    this.#inputWatch = undefined;
    this.#input = undefined;
  }

  /** Ends output alone. */
  protected closeOutput(): void {
    if (this.#inputWatch !== this.#outputWatch) this.#outputWatch?.close();
    this.#outputWatch = undefined;
    this.#output = undefined;
  }

  #receive(): Received {
    if (this.#input === undefined) return "end";
    const result = this.receive(this.#input);
    if (result === "full") this.#inputWatch?.pauseReading();
    else if (result === "end") this.#end();
    return result;
  }

  /** Where the output is gone too, the guest must not wait for it: it may have filled the ring by now. */
  #end(): void {
    this.inputEnded();
    this.#continue();
  }

  #continue(): void {
    this.flush();
    this.roomMade();
  }

  /** Returns how many bytes are done with. */
  #write(bytes: Uint8Array): number {
    if (this.#output === undefined) return bytes.length;
    try {
      const written = write(this.#output, bytes);
      if (written === undefined) this.#outputWatch?.awaitWritable();
      return written ?? 0;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.outputFailed(error);
      return bytes.length;
    }
  }

  /** `undefined` for a regular file, which epoll does not take: it is always ready. */
  #watch(fd: number, handlers: WatchHandlers): Watch | undefined {
    try {
      return this.reactor.watch(fd, handlers);
    } catch (error) {
      if (isSyscallError(error, "EPERM")) return undefined;
      throw error;
    }
  }
}
