import { isNonblocking, type SyscallError, setNonblocking } from "@vmm/libc";
import type { CharRing } from "../char-ring.ts";
import type { ChardevContext } from "../chardev.ts";
import { StreamBackend } from "../stream-backend.ts";
import { rawSettings, setTtySettings, type TtySettings, ttySettings } from "../tty.ts";

/**
 * The process's own standard input and output. Both are what the next VMM process inherits anyway, so they are not in
 * the fd table; but their terminal settings and O_NONBLOCK outlive an exec and the process, so they are put back.
 */
export class StdioChardev extends StreamBackend {
  protected override readonly filename = "stdio";
  readonly #stdin: number;
  readonly #stdout: number;
  /** What to put back, in order. */
  #undo: (() => void)[] = [];
  readonly #onExit = () => this.#restore();

  constructor(ring: CharRing, context: ChardevContext, stdin = 0, stdout = 1) {
    super(ring, context);
    this.#stdin = stdin;
    this.#stdout = stdout;
  }

  protected override attach(): void {
    process.on("exit", this.#onExit);
    this.#makeRaw();
    this.#makeNonblocking(this.#stdin);
    this.#makeNonblocking(this.#stdout);
    this.openStream(this.#stdin, this.#stdout);
  }

  protected override detach(): void {
    this.closeStream();
    this.#restore();
    process.off("exit", this.#onExit);
  }

  protected override release(): void {}

  protected override inputEnded(): void {
    this.closeInput();
  }

  protected override outputFailed(error: SyscallError): void {
    this.warn(`output is discarded from now on: ${error.message}`);
    this.closeOutput();
  }

  /** Signals stay, as in QEMU: Ctrl-C ends the VMM in the foreground. */
  #makeRaw(): void {
    const before: TtySettings | undefined = ttySettings(this.#stdin);
    if (!before) return;
    setTtySettings(this.#stdin, rawSettings(before, { signals: true, outputProcessing: true }));
    this.#undo.push(() => setTtySettings(this.#stdin, before));
  }

  #makeNonblocking(fd: number): void {
    if (isNonblocking(fd)) return;
    setNonblocking(fd, true);
    this.#undo.push(() => setNonblocking(fd, false));
  }

  #restore(): void {
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        undo();
      } catch {
        // the terminal is gone, and its settings with it
      }
    }
  }
}
