/** Drives a toy VMM in a process of its own, through updates, from a test. */
import { close, killIfThere, pipe, read, SIGKILL, setNonblocking, writeAll } from "@vmm/libc";
import type { MigrationInfo } from "../src/index.ts";

const PROGRAM = new URL("./toy-vmm.ts", import.meta.url).pathname;
const PATIENCE_MS = 20_000;

export interface ToyInfo extends MigrationInfo {
  readonly pid: number;
  readonly count: number;
  readonly secret: number;
  readonly clashes: number;
  readonly generation: number;
  readonly runState: string;
  readonly argv: string[];
}

export interface ToyResources {
  readonly fds: { fd: number; path: string; cloexec: boolean }[];
  readonly table: { name: string; id: number; fd: number }[];
  readonly ids: { name: string; value: number }[];
  readonly nonblocking: number[];
  readonly children: string[];
  readonly environment: string[];
}

/** The command line of a toy, with arguments. */
export const toyCommand = (...args: string[]): string[] => [process.execPath, PROGRAM, ...args];

/** How often the toy's output is looked at, in ms. */
const LOOK_EVERY_MS = 1;

/** Reads the end of a pipe as text as long as somebody has the other end. */
function listen(fd: number, hear: (text: string) => void): () => void {
  setNonblocking(fd, true);
  const chunk = new Uint8Array(new ArrayBuffer(65536));
  const decoder = new TextDecoder();
  const timer = setInterval(() => {
    for (let n = read(fd, chunk); n; n = read(fd, chunk))
      hear(decoder.decode(chunk.subarray(0, n), { stream: true }));
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    close(fd);
  };
}

export class Toy {
  readonly #process: Bun.Subprocess;
  // Pipes of our own: Bun closes its own as soon as the process that it started has ended, which is not the toy's end.
  readonly #stdin: number;
  readonly #deaf: (() => void)[];
  readonly #answers = new Map<number, (answer: { result?: unknown; error?: string }) => void>();
  #next = 1;
  /** All that the toy and whoever succeeded it wrote to stderr. */
  stderr = "";
  /** The process that runs the toy now, as far as it has said. */
  pid: number;

  /** @param more Variables for the toy. */
  constructor(command: readonly string[] = toyCommand(), more: Readonly<Record<string, string>> = {}) {
    const [stdin, toStdin] = pipe();
    const [fromStdout, stdout] = pipe();
    const [fromStderr, stderr] = pipe();
    this.#process = Bun.spawn([...command], {
      env: { ...process.env, ...more },
      stdio: [stdin, stdout, stderr],
    });
    for (const fd of [stdin, stdout, stderr]) close(fd);
    this.pid = this.#process.pid;
    this.#stdin = toStdin;
    let text = "";
    this.#deaf = [
      listen(fromStdout, (more) => {
        text += more;
        for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
          this.#hear(text.slice(0, end));
          text = text.slice(end + 1);
        }
      }),
      listen(fromStderr, (more) => {
        this.stderr += more;
      }),
    ];
  }

  #hear(line: string): void {
    const answer = JSON.parse(line);
    this.#answers.get(answer.id)?.(answer);
    this.#answers.delete(answer.id);
  }

  /** Sends a command and waits for its answer, from whichever process is the toy by then. */
  async ask<T = unknown>(name: string, args?: unknown): Promise<T> {
    const id = this.#next++;
    const answered = new Promise<{ result?: unknown; error?: string }>((resolve) =>
      this.#answers.set(id, resolve),
    );
    writeAll(this.#stdin, Buffer.from(`${JSON.stringify({ id, name, args })}\n`));
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer to ${name}; stderr: ${this.stderr}`)),
        PATIENCE_MS,
      );
    });
    try {
      const { result, error } = await Promise.race([answered, late]);
      if (error !== undefined) throw new Error(error);
      return result as T;
    } finally {
      clearTimeout(timer);
    }
  }

  async info(): Promise<ToyInfo> {
    const info = await this.ask<ToyInfo>("info");
    this.pid = info.pid;
    return info;
  }

  resources(): Promise<ToyResources> {
    return this.ask<ToyResources>("resources");
  }

  /** Waits until the toy says something of itself. */
  async until(what: string, fits: (info: ToyInfo) => boolean): Promise<ToyInfo> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const info = await this.info();
      if (fits(info)) return info;
      if (performance.now() > deadline)
        throw new Error(`never ${what}: ${JSON.stringify(info)}; ${this.stderr}`);
      await Bun.sleep(2);
    }
  }

  /** Begins an update to a command, and waits until it is over: in this process or in another. */
  async update(command: readonly string[], args: object = { preflight: false }): Promise<ToyInfo> {
    await this.ask("set", { mode: "cpr-exec", "cpr-exec-command": command });
    const { generation } = await this.info();
    await this.ask("migrate", args);
    const info = await this.until("over", (now) => now.status === "failed" || now.generation > generation);
    await this.ask("finished");
    return info;
  }

  /** Resolves to the exit status of the process that was started first. */
  get exited(): Promise<number> {
    return this.#process.exited;
  }

  /** Ends the toy, whoever it is by now. */
  async end(): Promise<void> {
    killIfThere(this.pid, SIGKILL);
    this.#process.kill(9);
    await this.#process.exited;
    close(this.#stdin);
    for (const stop of this.#deaf) stop();
  }
}

/** Runs a test on a toy, and ends it whatever happens. */
export async function withToy(
  use: (toy: Toy) => Promise<void>,
  command: readonly string[] = toyCommand(),
): Promise<void> {
  const toy = new Toy(command);
  try {
    await use(toy);
  } finally {
    await toy.end();
  }
}
