/** A client of a VM's console: `vmm console`, as a user has it in a terminal. */
import { type TestVm, until, VMM } from "./vm.ts";

/** A tick line of the heartbeat guest. */
export interface Tick {
  readonly number: number;
  /** How far the boot processor had counted. */
  readonly count: number;
  readonly secret: string;
  /** What was typed since the tick before. */
  readonly input: string;
}

const TICK = /^tick (\d+) count ([0-9a-f]{8}) secret ([0-9a-f]{8})(?: input (\S*))?\r?$/gm;

export class ConsoleClient implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #read: Promise<unknown>;
  text = "";
  /** What the command says of itself. */
  notes = "";

  constructor(vm: TestVm) {
    this.#child = Bun.spawn([...VMM, "console", vm.name], { env: vm.env, stdio: ["pipe", "pipe", "pipe"] });
    const copy = async (stream: ReadableStream<Uint8Array>, hear: (text: string) => void) => {
      const decoder = new TextDecoder();
      for await (const bytes of stream) hear(decoder.decode(bytes, { stream: true }));
    };
    this.#read = Promise.all([
      copy(this.#child.stdout, (text) => (this.text += text)),
      copy(this.#child.stderr, (text) => (this.notes += text)),
    ]);
  }

  /** Whole tick lines so far. */
  ticks(): Tick[] {
    const end = this.text.lastIndexOf("\n") + 1;
    return [...this.text.slice(0, end).matchAll(TICK)].map(([, number, count, secret, input = ""]) => ({
      number: Number(number),
      count: Number.parseInt(count as string, 16),
      secret: secret as string,
      input,
    }));
  }

  type(text: string): void {
    this.#child.stdin.write(text);
    this.#child.stdin.flush();
  }

  /** Waits for so many ticks more. */
  async more(ticks = 1): Promise<void> {
    const before = this.ticks().length;
    await until("the guest ticks on", () => this.ticks().length >= before + ticks, 20_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    await this.#read;
  }
}

/** In what the ticks differ from a guest that noticed nothing: each number once, in order, counting on, with one secret. */
export function tickProblems(ticks: readonly Tick[]): string[] {
  const [first] = ticks;
  return ticks.flatMap(({ number, count, secret }, i) => {
    const expected = (first?.number ?? 0) + i;
    if (number !== expected) return [`line ${i}: tick ${number} in place of ${expected}`];
    const before = ticks[i - 1]?.count ?? 0;
    if (count < before) return [`tick ${number}: count ${count} came after ${before}`];
    return secret === first?.secret ? [] : [`tick ${number}: secret ${secret} was ${first?.secret}`];
  });
}
