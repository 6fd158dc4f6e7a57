/** Figures of many measurements. */

/**
 * The smallest value that at least `percent` of the values do not exceed (nearest rank): always one that was measured.
 *
 * @param sorted In rising order; at least one.
 */
export function percentile(sorted: readonly number[], percent: number): number {
  const rank = Math.ceil((percent / 100) * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] as number;
}

export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export interface Histogram {
  readonly bins: readonly Bin[];
  /** Values beyond the last bin: they are few, and would leave no room for the others. */
  readonly beyond: readonly number[];
}

const MOST_BINS = 48;
const FEWEST_BINS = 8;
/** How far beyond the 99th percentile the bins go, as a share of the distance from the smallest value to it. */
const TAIL = 0.75;

/** @param sorted In rising order; at least one. */
export function histogram(sorted: readonly number[]): Histogram {
  const [min, max] = [sorted[0] as number, sorted.at(-1) as number];
  const p99 = percentile(sorted, 99);
  const end = Math.min(max, p99 + (p99 - min) * TAIL) || max;
  const count = Math.max(FEWEST_BINS, Math.min(MOST_BINS, Math.round(2 * Math.sqrt(sorted.length))));
  const width = (end - min) / count || 1;
  const counts = new Array<number>(count).fill(0);
  const beyond: number[] = [];
  for (const value of sorted) {
    const bin = Math.min(count - 1, Math.floor((value - min) / width));
    if (value > end) beyond.push(value);
    else counts[bin] = (counts[bin] as number) + 1;
  }
  const bins = counts.map((n, i) => ({ from: min + i * width, to: min + (i + 1) * width, count: n }));
  return { bins, beyond };
}
