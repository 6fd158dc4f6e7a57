/** The guest's heartbeat, as somebody outside saw it. */
import type { HeartbeatSample } from "./data.ts";
import type { Standstill } from "./phases.ts";

const WRAP = 2 ** 32;

/** Samples with counts that go on beyond 2^32 and begin at 0. */
export function unwrap(samples: readonly HeartbeatSample[]): HeartbeatSample[] {
  let total = 0;
  return samples.map(({ atMs, count }, i) => {
    const before = samples[i - 1]?.count ?? count;
    total += (count - before + WRAP) % WRAP;
    return { atMs, count: total };
  });
}

/**
 * The longest time without a count, of those that touch `around`: from the first sample with the count at which it stood
 * to the first with another. Either end is uncertain by the time between two samples.
 */
export function longestGap(samples: readonly HeartbeatSample[], around: Standstill): Standstill | undefined {
  let longest: Standstill | undefined;
  let changed = samples[0];
  for (const [i, sample] of samples.entries()) {
    const before = samples[i - 1];
    if (!before || !changed || sample.count === before.count) continue;
    const gap = { startMs: changed.atMs, endMs: sample.atMs };
    const touches = gap.endMs >= around.startMs && gap.startMs <= around.endMs;
    if (touches && gap.endMs - gap.startMs > (longest ? longest.endMs - longest.startMs : 0)) longest = gap;
    changed = sample;
  }
  return longest;
}

/**
 * The points of a line through the samples between two times, up to the nearest ones outside, in shares of the time and of
 * what was counted meanwhile. None where there are too few.
 */
export function linePoints(
  samples: readonly HeartbeatSample[],
  fromMs: number,
  toMs: number,
): [number, number][] {
  const inside = unwrap(samples).filter(
    (_, i) => (samples[i + 1]?.atMs ?? toMs) >= fromMs && (samples[i - 1]?.atMs ?? fromMs) <= toMs,
  );
  const [first, last] = [inside[0], inside.at(-1)];
  if (!first || !last || inside.length < 3) return [];
  const rise = last.count - first.count || 1;
  return inside.map(({ atMs, count }) => [(atMs - fromMs) / (toMs - fromMs), (count - first.count) / rise]);
}
