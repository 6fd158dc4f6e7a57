/** What must not grow from update to update, and how that is judged. */
import { median } from "../../bench/lib/statistics.ts";
import { childrenOf, openFdsOf, statusValue, workersOf } from "../../tests/host/lib/proc.ts";
import type { TestVm } from "../../tests/host/lib/vm.ts";

/** How the VMM stands after an update. */
export interface Sample {
  readonly mode: string;
  /** Which update it was taken after, from 0. */
  readonly update: number;
  readonly fds: number;
  /** Threads of our own; the engine starts and ends helpers as it likes. */
  readonly threads: number;
  readonly children: number;
  /** Processes of the VM beside the VMM. */
  readonly processes: number;
  /** Private memory in bytes: all of the VMM's but the guest's RAM and the program's file. */
  readonly rss: number;
  /** Bytes of saved state. */
  readonly state: number;
}

export const GAUGES = ["fds", "threads", "children", "processes", "rss", "state"] as const;

export type GaugeName = (typeof GAUGES)[number];

export function takeSample(
  vm: TestVm,
  pid: number,
  at: { mode: string; update: number; state: number },
): Sample {
  return {
    ...at,
    fds: openFdsOf(pid).length,
    threads: workersOf(pid),
    children: childrenOf(pid).length,
    processes: vm.processes().filter((other) => other !== pid).length,
    rss: statusValue(pid, "RssAnon") * 1024,
  };
}

export interface Growth {
  readonly gauge: GaugeName;
  readonly mode: string;
  /** Medians of the first and of the last samples. */
  readonly first: number;
  readonly last: number;
  /** More than this is growth. */
  readonly tolerance: number;
  readonly grown: boolean;
}

/** So many samples at either end. */
export const ENDS = 10;
/** The saved state has times in decimal digits. */
const DIGITS = 64;
const LEAST_RSS = 2 << 20;

/** How far apart values are that mean the same: the median of their distances to the middle, as a standard deviation. */
function spread(values: readonly number[]): number {
  const middle = median(values);
  return 1.4826 * median(values.map((value) => Math.abs(value - middle)));
}

/** Either end by itself: a leak would spread the whole. */
function toleranceOf(gauge: GaugeName, ends: readonly (readonly number[])[]): number {
  if (gauge === "rss") return Math.max(LEAST_RSS, ...ends.map((values) => 3 * spread(values)));
  return gauge === "state" ? DIGITS : 0;
}

/**
 * Compares the last samples with the first ones, for each mode by itself: processes that came by different ways differ.
 *
 * @param samples In order.
 */
export function judgeGrowth(samples: readonly Sample[]): Growth[] {
  const modes = [...new Set(samples.map(({ mode }) => mode))];
  return modes.flatMap((mode) => {
    const mine = samples.filter((sample) => sample.mode === mode);
    const end = Math.max(1, Math.min(ENDS, Math.floor(mine.length / 2)));
    return GAUGES.map((gauge): Growth => {
      const values = mine.map((sample) => sample[gauge]);
      const ends = [values.slice(0, end), values.slice(-end)] as const;
      const [first, last] = [median(ends[0]), median(ends[1])];
      const tolerance = toleranceOf(gauge, ends);
      return { gauge, mode, first, last, tolerance, grown: last - first > tolerance };
    });
  });
}
