/**
 * A lull in the guest's dealings with its devices. Guests go to their devices in bursts, many of them at intervals: a line
 * on the console, a timer's work. While the program is replaced nobody serves them, so the best moment is right after a
 * burst. Which guest has none within the limit is not likely to have one in the next few ms either.
 */
import { monotonicNs, threadCpuNs } from "@vmm/libc";
import type { Machine } from "./machine.ts";

/** How often the vCPUs are looked at (ms). */
const LOOK_MS = 1;
/** A burst is over when its vCPU has run for so long without an access. */
const QUIET_NS = 2e6;
/** Or after so much time, whether it has run or not: it may be halted. On a busy host it waits for a few turns of 4 ms. */
const LONG_QUIET_NS = 12e6;
/** The longest wait: about the interval of a guest that does something four times a second. */
const LIMIT_NS = 250e6;

/** What a vCPU has done so far. */
export interface VcpuSample {
  /** Accesses to devices. */
  readonly accesses: number;
  /** For how long its thread ran (ns); `undefined` where that cannot be told. */
  readonly ranNs: number | undefined;
}

interface LastAccess extends VcpuSample {
  /** When it was seen (ns); infinite where none was. */
  readonly atNs: number;
}

/** Tells the end of a burst from samples of all vCPUs. */
export class LullWatch {
  #last: LastAccess[];

  constructor(first: readonly VcpuSample[]) {
    this.#last = first.map((sample) => ({ ...sample, atNs: Number.POSITIVE_INFINITY }));
  }

  /** Whether there was a burst, and no vCPU is in one any more. */
  look(nowNs: number, samples: readonly VcpuSample[]): boolean {
    samples.forEach((sample, i) => {
      if (sample.accesses !== this.#last[i]?.accesses) this.#last[i] = { ...sample, atNs: nowNs };
    });
    const begun = this.#last.some(({ atNs }) => atNs <= nowNs);
    return begun && this.#last.every((last, i) => isQuiet(last, nowNs, samples[i]?.ranNs));
  }
}

/** A vCPU that waits for its turn in the midst of a burst makes no access either: only what it ran for counts. */
function isQuiet({ atNs, ranNs }: LastAccess, nowNs: number, ranNowNs: number | undefined): boolean {
  if (atNs > nowNs || nowNs - atNs >= LONG_QUIET_NS) return true;
  return nowNs - atNs >= QUIET_NS && (ranNowNs ?? 0) - (ranNs ?? 0) >= QUIET_NS;
}

/**
 * Waits until a burst of accesses is over, or for the limit.
 *
 * @param goOn Throws where there is no point in waiting any more.
 */
export async function awaitLull({ vm, control }: Machine, goOn: () => void): Promise<void> {
  const vcpus = vm.vcpus.map(({ index }) => control.vcpu(index));
  const samples = () => vcpus.map(({ accesses, tid }) => ({ accesses, ranNs: threadCpuNs(tid) }));
  const watch = new LullWatch(samples());
  const endNs = monotonicNs() + LIMIT_NS;
  do {
    await Bun.sleep(LOOK_MS);
    goOn();
  } while (!watch.look(monotonicNs(), samples()) && monotonicNs() < endNs);
}
