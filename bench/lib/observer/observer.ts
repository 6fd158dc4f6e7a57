/**
 * The outside observer: a process of its own that watches a guest's counts in its RAM and logs each time that one stood
 * still, by the same clock that everybody on this host reads.
 */
import {
  close,
  ftruncate,
  MAP_SHARED,
  MFD_CLOEXEC,
  memfdCreate,
  memoryView,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
} from "@vmm/libc";
import { LOG_SIZE, LogHeader, readRecord, type Standstill } from "./log.ts";
import type { WatchOptions } from "./watch-program.ts";

export type { Standstill } from "./log.ts";

export interface ObserverOptions extends Pick<WatchOptions, "ram" | "offset" | "stride" | "cpus"> {
  /** Shorter standstills are not logged; 0.5 ms where left out (ns). */
  readonly threshold?: number;
  /** Between two samples; 100 us where left out (ns). Each takes a processor for some 20 us. */
  readonly sleep?: number;
  readonly loop?: WatchOptions["loop"];
}

/** How well the observer itself was served. */
export interface ObserverQuality {
  readonly samples: number;
  /** us from one sample to the next, in the mean. */
  readonly meanUs: number;
  /** Samples that came more than 0.25 ms late. */
  readonly late: number;
  readonly longestGapMs: number;
  readonly realTime: boolean;
}

const START_MS = 10_000;
const STOP_MS = 2000;
const LATE_NS = 250_000;

export class Observer {
  readonly loop: WatchOptions["loop"];
  #child: Bun.Subprocess;
  #address: number;
  #log: ArrayBuffer;
  #words: Uint32Array;

  private constructor(options: ObserverOptions, loop: WatchOptions["loop"]) {
    this.loop = loop;
    // a first attempt that fails is followed by another: its complaint is of no use
    const errors = options.loop === undefined && loop === "native" ? "ignore" : "inherit";
    const fd = memfdCreate("observer-log", MFD_CLOEXEC);
    try {
      ftruncate(fd, LOG_SIZE);
      this.#address = mmap({ length: LOG_SIZE, prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, fd });
      this.#log = memoryView(this.#address, LOG_SIZE);
      this.#words = new Uint32Array(this.#log, 0, LogHeader.size / 4);
      const watch: WatchOptions = { threshold: 500_000, sleep: 100_000, late: LATE_NS, ...options, loop };
      const program = `${import.meta.dir}/watch-program.ts`;
      this.#child = Bun.spawn([process.execPath, program, JSON.stringify(watch)], {
        stdio: ["ignore", "inherit", errors, fd],
      });
    } finally {
      close(fd);
    }
  }

  /**
   * Starts an observer and waits for its first sample.
   *
   * @param options.loop Where left out: native, and script where that does not work.
   */
  static async start(options: ObserverOptions): Promise<Observer> {
    if (options.loop) return Observer.#start(options, options.loop);
    try {
      return await Observer.#start(options, "native");
    } catch {
      return Observer.#start(options, "script");
    }
  }

  static async #start(options: ObserverOptions, loop: WatchOptions["loop"]): Promise<Observer> {
    const observer = new Observer(options, loop);
    const deadline = performance.now() + START_MS;
    while (observer.#word("ready") === 0) {
      if (observer.#child.exitCode !== null || performance.now() > deadline) {
        await observer.stop();
        throw new Error(`the observer of ${options.ram} does not start`);
      }
      await Bun.sleep(1);
    }
    return observer;
  }

  #word(name: "ready" | "records"): number {
    return Atomics.load(this.#words, LogHeader.offsets[name] / 4);
  }

  /** The standstills seen so far, from the `from`-th on, in the order in which they ended. */
  standstills(from = 0, to = this.seen): Standstill[] {
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => readRecord(this.#log, from + i));
  }

  /** How many standstills were seen so far. */
  get seen(): number {
    return this.#word("records");
  }

  /** Ends the observer, and tells how well it was served. */
  async stop(): Promise<ObserverQuality> {
    Atomics.store(this.#words, LogHeader.offsets.stop / 4, 1);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    await this.#child.exited;
    clearTimeout(timer);
    const { samples, late, longest_gap, began, ended, fifo } = LogHeader.at(this.#log);
    return {
      samples: Number(samples),
      meanUs: Number(ended - began) / 1000 / Math.max(1, Number(samples)),
      late: Number(late),
      longestGapMs: Number(longest_gap) / 1e6,
      realTime: fifo === 1,
    };
  }

  /** Ends the observer and forgets what it saw. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    munmap(this.#address, LOG_SIZE);
  }
}
