/** The connection to a VM's console, made again where it breaks while the VM lives: a live update may do that. */
import { isClaimed } from "@vmm/vmm/config/index.ts";
import type { Socket } from "bun";
import { CliError } from "../cli-error.ts";
import type { VmFolder } from "../vm/find-vms.ts";

const RETRY_MS = 20;
/** A live update that fails and is taken back by the keeper takes about its commit timeout, 10 s. */
const RECONNECT_TIMEOUT_MS = 30_000;
/** The console of a VM that is only just starting may not be there yet. */
const FIRST_TIMEOUT_MS = 2_000;

export interface ConsoleHandlers {
  data(bytes: Uint8Array): void;
  /** The connection broke and is there again: what the console showed comes once more from its beginning. */
  reconnected(): void;
}

export class ConsoleLink {
  readonly #vm: VmFolder;
  readonly #handlers: ConsoleHandlers;
  #socket: Socket | undefined;
  /** What the socket has not taken yet. */
  #unsent: Uint8Array[] = [];
  /** The connection was made again and nothing has come over it yet. */
  #returned = false;
  #left = Promise.withResolvers<"left">();
  #broken = Promise.withResolvers<"broken">();

  constructor(vm: VmFolder, handlers: ConsoleHandlers) {
    this.#vm = vm;
    this.#handlers = handlers;
  }

  /**
   * Connects, and stays so until `leave` or the end of the VM.
   *
   * @returns Which of the two it was.
   * @throws CliError where the console cannot be reached, or not any more while the VM lives.
   */
  async run(): Promise<"left" | "ended"> {
    if (!(await this.#connectWithin(FIRST_TIMEOUT_MS))) {
      throw new CliError(
        `the console of VM "${this.#vm.name}" cannot be reached: does its serial port go elsewhere?`,
      );
    }
    for (;;) {
      if ((await Promise.race([this.#left.promise, this.#broken.promise])) === "left") return "left";
      this.#socket = undefined;
      this.#broken = Promise.withResolvers();
      if (!(await this.#connectWithin(RECONNECT_TIMEOUT_MS))) {
        if (!isClaimed(this.#vm.paths)) return "ended";
        throw new CliError(`the console of VM "${this.#vm.name}" is gone, though the VM lives`);
      }
      // A VM that ends may still accept, and break off again: only what it says shows that it is back.
      this.#returned = true;
    }
  }

  /** Sends what was typed. */
  send(bytes: Uint8Array): void {
    this.#unsent.push(bytes.slice());
    this.#flush();
  }

  /** Ends the connection. The VM does not mind. */
  leave(): void {
    this.#left.resolve("left");
    this.#socket?.end();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#returned) this.#handlers.reconnected();
    this.#returned = false;
    this.#handlers.data(bytes);
  }

  #flush(): void {
    while (this.#socket && this.#unsent.length > 0) {
      const chunk = this.#unsent[0] as Uint8Array;
      const sent = Math.max(0, this.#socket.write(chunk));
      if (sent < chunk.length) {
        this.#unsent[0] = chunk.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
  }

  /** Tries until it works, the VM has ended, or the time is up. */
  async #connectWithin(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      if (await this.#connect()) return true;
      if (!isClaimed(this.#vm.paths) || performance.now() > deadline) return false;
      await Bun.sleep(RETRY_MS);
    }
  }

  async #connect(): Promise<boolean> {
    const broken = () => this.#broken.resolve("broken");
    try {
      this.#socket = await Bun.connect({
        unix: this.#vm.paths.console,
        socket: {
          data: (_, bytes) => this.#receive(bytes),
          drain: () => this.#flush(),
          close: broken,
          end: broken,
          error: broken,
        },
      });
    } catch {
      return false;
    }
    this.#flush();
    return true;
  }
}
