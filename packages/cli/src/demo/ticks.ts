/** The heartbeat guest's tick lines, read from its console as they come. */
import { CliError } from "../cli-error.ts";

export interface Tick {
  readonly n: number;
  /** How far the guest has counted; 32 bits, wraps. */
  readonly count: number;
  /** What the guest drew at its start, and holds in RAM and in a register only. */
  readonly secret: string;
  readonly line: string;
}

/** @returns `undefined` for a line that is not a tick. */
export function parseTick(line: string): Tick | undefined {
  const match = /^tick (\d+) count ([0-9a-f]{8}) secret ([0-9a-f]{8})/.exec(line);
  if (!match) return undefined;
  const [, n, count, secret] = match as unknown as [string, string, string, string];
  return { n: Number(n), count: Number.parseInt(count, 16), secret, line: line.trimEnd() };
}

/** What is wrong with a row of ticks; `undefined` where each follows the one before. */
export function faultIn(ticks: readonly Tick[]): string | undefined {
  for (const [i, tick] of ticks.entries()) {
    const before = ticks[i - 1];
    if (!before) continue;
    if (tick.n !== before.n + 1) return `tick ${before.n} was followed by tick ${tick.n}`;
    if (tick.secret !== before.secret) return `the secret changed from ${before.secret} to ${tick.secret}`;
    // A 32-bit count: what looks like a step back by less than half of it is one.
    if ((tick.count - before.count) >>> 0 >= 2 ** 31) return `the count went back at tick ${tick.n}`;
  }
  return undefined;
}

/** Collects ticks from a console's bytes. */
export class TickReader {
  readonly ticks: Tick[] = [];
  readonly #decoder = new TextDecoder();
  readonly #show: (tick: Tick) => void;
  #line = "";
  #waiting: { readonly length: number; readonly resolve: () => void } | undefined;

  constructor(show: (tick: Tick) => void) {
    this.#show = show;
  }

  push(bytes: Uint8Array): void {
    const lines = (this.#line + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#line = lines.pop() ?? "";
    for (const line of lines) {
      const tick = parseTick(line);
      if (!tick) continue;
      this.ticks.push(tick);
      this.#show(tick);
    }
    if (this.#waiting && this.ticks.length >= this.#waiting.length) this.#waiting.resolve();
  }

  /** Waits until there are `more` ticks than now. @throws CliError where they do not come. */
  async more(more: number, timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { length: this.ticks.length + more, resolve };
    const timer = setTimeout(
      () => reject(new CliError(`the guest has not ticked ${more} times in ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }
}
