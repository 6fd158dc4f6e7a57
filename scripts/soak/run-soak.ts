/** Updates in a row, under one running guest that is looked at after each. */
import { monotonicNs } from "@vmm/libc";
import { COUNT_STRIDE, HEARTBEAT } from "@vmm/vmm/boot/heartbeat/map.ts";
import { VERSION } from "@vmm/vmm/version.ts";
import { atExitUntilDisposed } from "../../bench/lib/at-exit.ts";
import { Observer } from "../../bench/lib/observer/observer.ts";
import { isAtRest } from "../../tests/host/lib/snapshot.ts";
import { update } from "../../tests/host/lib/update.ts";
import { TestVm, until } from "../../tests/host/lib/vm.ts";
import { ENDS, type Growth, judgeGrowth, type Sample, takeSample } from "./gauges.ts";

export interface SoakOptions {
  readonly updates: number;
  /** Taken in turn. */
  readonly modes: readonly string[];
  readonly memory: string;
  readonly cpus: number;
  /** Each so many-th update asks the new command first; 0 for none. */
  readonly preflightEvery: number;
  /** Whether another process watches the guest. */
  readonly observe: boolean;
  /** Asked before each update whether there is to be one more. */
  readonly isEnded?: () => boolean;
  /** Hears of each update. */
  readonly progress?: (done: number, failures: number) => void;
}

export interface SoakPause {
  readonly mode: string;
  /** As the new VMM says. */
  readonly reportedMs: number;
  /** The longest time that a vCPU stood still meanwhile, as seen from outside; undefined where nobody looked. */
  readonly observedMs?: number;
}

export interface SoakResult {
  readonly version: string;
  readonly startedAt: number;
  readonly totalMs: number;
  readonly pauses: readonly SoakPause[];
  readonly samples: readonly Sample[];
  readonly growth: readonly Growth[];
  /** One line each. */
  readonly failures: readonly string[];
}

/** Samples between the first and the last ones: enough to see a trend. */
const EVERY = 10;
const SETTLE_MS = 10_000;
/** The observer's log has room for some more. */
const OBSERVER_FULL = 50_000;
/** After so many the rest would be no different. */
const MOST_FAILURES = 20;

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** An observer that is replaced when its log is full. */
class Watch implements AsyncDisposable {
  #observer: Observer | undefined;

  async ready(vm: TestVm): Promise<void> {
    if (this.#observer && this.#observer.seen < OBSERVER_FULL) return;
    await this[Symbol.asyncDispose]();
    const ram = vm.ram.path;
    this.#observer = await Observer.start({
      ram,
      offset: HEARTBEAT.COUNT,
      stride: COUNT_STRIDE,
      cpus: vm.cpus,
    });
  }

  get seen(): number {
    return this.#observer?.seen ?? 0;
  }

  /** The longest standstill since then that was not over before (ms). */
  longest(from: number, sinceNs: number): number {
    const seen = this.#observer?.standstills(from).filter(({ end }) => end > sinceNs) ?? [];
    return Math.max(0, ...seen.map(({ ns }) => ns)) / 1e6;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#observer?.[Symbol.asyncDispose]();
    this.#observer = undefined;
  }
}

class Soak {
  readonly #options: SoakOptions;
  readonly #vm: TestVm;
  readonly #watch: Watch | undefined;
  readonly #secret: number;
  readonly pauses: SoakPause[] = [];
  readonly samples: Sample[] = [];
  readonly failures: string[] = [];

  constructor(options: SoakOptions, vm: TestVm, watch: Watch | undefined) {
    this.#options = options;
    this.#vm = vm;
    this.#watch = watch;
    this.#secret = vm.heartbeat().secret;
  }

  /** @returns Whether to go on. */
  async step(index: number): Promise<boolean> {
    const { modes, preflightEvery } = this.#options;
    const mode = modes[index % modes.length] as string;
    const preflight = preflightEvery > 0 && index % preflightEvery === 0;
    try {
      await this.#update(index, mode, preflight);
    } catch (error) {
      this.failures.push(`update ${index} (${mode}): ${reasonOf(error)}`);
      return this.failures.length < MOST_FAILURES && (await this.#lives());
    }
    return true;
  }

  async #update(index: number, mode: string, preflight: boolean): Promise<void> {
    const vm = this.#vm;
    await this.#watch?.ready(vm);
    const [from, since] = [this.#watch?.seen ?? 0, monotonicNs()];
    const { status, reason, pidAfter, info } = await update(vm, { mode, preflight });
    if (status !== "completed") throw new Error(`${status}: ${reason}`);
    await vm.isWell(this.#secret);
    const observedMs = this.#watch?.longest(from, since);
    this.pauses.push({
      mode,
      reportedMs: (info["x-downtime-ns"] ?? 0) / 1e6,
      ...(observedMs !== undefined && { observedMs }),
    });
    const left = this.#options.updates - index;
    const ends = ENDS * this.#options.modes.length;
    if (index >= ends && left > ends && index % EVERY !== 0) return;
    const alone = () => isAtRest(vm, pidAfter) && vm.processes().length === 1;
    await until("nothing of the update is left", alone, SETTLE_MS);
    this.samples.push(takeSample(vm, pidAfter, { mode, update: index, state: info["x-state-bytes"] ?? 0 }));
  }

  async #lives(): Promise<boolean> {
    try {
      await this.#vm.isWell(this.#secret);
      await this.#vm.pid();
      return true;
    } catch (error) {
      this.failures.push(`the guest is lost: ${reasonOf(error)}`);
      return false;
    }
  }
}

/** Runs a soak on a VM of its own, of which nothing is left. */
export async function runSoak(options: SoakOptions): Promise<SoakResult> {
  const { updates, memory, cpus, observe, isEnded = () => false, progress } = options;
  await using vm = await TestVm.start({ memory, cpus });
  // a soak is long: who ends it by a signal is not to look for its VM
  using _abandon = atExitUntilDisposed(() => vm.abandon());
  await using watch = observe ? new Watch() : undefined;
  const startedAt = Date.now();
  const soak = new Soak(options, vm, watch);
  for (let index = 0; index < updates && !isEnded(); index++) {
    if (!(await soak.step(index))) break;
    progress?.(index + 1, soak.failures.length);
  }
  const { pauses, samples, failures } = soak;
  return {
    version: VERSION,
    startedAt,
    totalMs: Date.now() - startedAt,
    pauses,
    samples,
    growth: judgeGrowth(samples),
    failures,
  };
}
