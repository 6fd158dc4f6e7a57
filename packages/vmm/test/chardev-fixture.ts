/** A chardev with a guest side played by the test, and what it stands on; everything is given back at the end. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FdTable } from "@vmm/cpr";
import { close, read, type SyscallError, write } from "@vmm/libc";
import { StateArena } from "../src/arena/state-arena.ts";
import { type Chardev, type ChardevContext, CharRing } from "../src/chardev/index.ts";
import { DeviceLock } from "../src/device/device-lock.ts";
import { Reactor } from "../src/reactor/index.ts";

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
export const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes.slice());

/** How long to wait for anything (ms): on a busy host each change of threads can take a good part of a second. */
const PATIENCE_MS = 10_000;

/** Waits until `condition` holds, at most `PATIENCE_MS`. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !condition(); await Bun.sleep(1)) {
    if (performance.now() > end) throw new Error(`${what} did not come within ${PATIENCE_MS / 1000} s`);
  }
}

/** The guest's side of a ring, as a UART has it. */
export class GuestPort {
  readonly ring: CharRing;
  readonly arena: StateArena;
  /** How often the port was told of something. */
  events = 0;
  doorbell: () => void = () => {};
  #received = "";

  constructor(arena = new StateArena()) {
    this.arena = arena;
    // the main thread hears of the doorbell later, as it does from another thread
    this.ring = new CharRing(arena, "serial0", () => setImmediate(() => this.doorbell()));
    this.ring.onEvent(() => this.events++);
  }

  /** Prints as far as there is room; returns how many bytes that was. */
  print(text: string | Uint8Array): number {
    const bytes = typeof text === "string" ? encode(text) : text;
    let done = 0;
    for (; done < bytes.length && this.ring.canWrite(); done++) this.ring.write(bytes[done] as number);
    return done;
  }

  /** Prints all of it, waiting for room. */
  async printAll(bytes: Uint8Array): Promise<void> {
    let done = 0;
    await until(() => {
      done += this.print(bytes.subarray(done));
      return done === bytes.length;
    }, "room to print");
  }

  /** All that the guest has read so far. */
  get received(): string {
    for (let byte = this.ring.read(); byte >= 0; byte = this.ring.read()) {
      this.#received += String.fromCharCode(byte);
    }
    return this.#received;
  }
}

export class ChardevFixture {
  readonly folder = mkdtempSync(join(tmpdir(), "vmm-chardev-"));
  readonly fds = new FdTable();
  readonly warnings: string[] = [];
  guest = new GuestPort();
  reactor = new Reactor();
  #open: (ring: CharRing, context: ChardevContext) => Chardev;
  #chardev: Chardev | undefined;
  #owned: number[] = [];

  constructor(open: (ring: CharRing, context: ChardevContext) => Chardev) {
    this.#open = open;
  }

  get chardev(): Chardev {
    if (!this.#chardev) throw new Error("the chardev is not open");
    return this.#chardev;
  }

  get context(): ChardevContext {
    return {
      reactor: this.reactor,
      fds: this.fds,
      lock: new DeviceLock(new Int32Array(new SharedArrayBuffer(4)), 0),
      folder: this.folder,
      warn: (message) => this.warnings.push(message),
    };
  }

  start(): Chardev {
    this.#chardev = this.#open(this.guest.ring, this.context);
    this.guest.doorbell = () => this.#chardev?.doorbell();
    this.#chardev.start();
    return this.#chardev;
  }

  /**
   * What an exec does to a chardev: all objects are gone, fds and the saved arena stay.
   *
   * @param meanwhile Runs when the old process has let go and the new one has not begun.
   */
  async replaceProcess(meanwhile: () => void = () => {}): Promise<void> {
    this.chardev.pauseForExec();
    const saved = this.guest.arena.buffer.slice(0);
    await this.reactor.close();
    meanwhile();
    this.guest = new GuestPort();
    new Uint8Array(this.guest.arena.buffer).set(new Uint8Array(saved));
    this.reactor = new Reactor();
    this.start();
  }

  /** Has an fd of the test closed at the end. */
  own(fd: number): number {
    this.#owned.push(fd);
    return fd;
  }

  close(fd: number): void {
    this.#owned.splice(this.#owned.indexOf(fd), 1);
    close(fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#chardev?.close();
    await this.reactor.close();
    for (const fd of this.#owned) close(fd);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The other end of a stream, on a non-blocking fd. */
export class Peer {
  readonly fd: number;
  /** The stream has come to its end. */
  ended = false;
  #text = "";

  constructor(fd: number) {
    this.fd = fd;
  }

  send(text: string | Uint8Array): number {
    return write(this.fd, typeof text === "string" ? encode(text) : text) ?? 0;
  }

  /** All that came so far. */
  get text(): string {
    const buffer = new Uint8Array(64 * 1024);
    while (!this.ended) {
      let length: number | undefined;
      try {
        length = read(this.fd, buffer);
      } catch (error) {
        if ((error as SyscallError).code !== "ECONNRESET") throw error;
        length = 0;
      }
      if (length === undefined) break;
      if (length === 0) this.ended = true;
      this.#text += String.fromCharCode(...buffer.subarray(0, length));
    }
    return this.#text;
  }
}
