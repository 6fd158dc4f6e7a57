/** From standstills of single vCPUs to those of the guest, and to what an update cost it. */
import type { Standstill } from "../lib/observer/log.ts";
import type { Interval } from "./subject.ts";

/** A time during which all vCPUs stood still at once at some moment. */
export interface Episode {
  /** From the stop of the first vCPU until the last one ran again (ns of CLOCK_MONOTONIC). */
  readonly start: number;
  readonly end: number;
  /** By how much the edges may be off in sum, at the most (ns). */
  readonly uncertainty: number;
}

/** What an update cost the guest (ms). */
export interface Pause {
  readonly longestMs: number;
  /** All episodes in sum: an update may stop the guest more than once. */
  readonly totalMs: number;
  readonly episodes: number;
  readonly uncertaintyMs: number;
}

/**
 * Where all vCPUs stood still. One vCPU alone may be off its core, where the host has fewer cores than it needs; an update
 * stops them all.
 */
export function episodesOf(seen: readonly Standstill[], cpus: number): Episode[] {
  const episodes: Episode[] = [];
  const still: (Standstill | undefined)[] = new Array(cpus).fill(undefined);
  for (const next of seen.toSorted((a, b) => a.start - b.start)) {
    still[next.cpu] = next;
    const together = still.filter((s) => s !== undefined && s.end > next.start) as Standstill[];
    if (together.length < cpus) continue;
    const episode = {
      start: Math.min(...together.map((s) => s.start)),
      end: Math.max(...together.map((s) => s.end)),
      uncertainty: Math.max(...together.map((s) => s.uncertainty)),
    };
    const last = episodes.at(-1);
    if (last && episode.start < last.end) episodes[episodes.length - 1] = merged(last, episode);
    else episodes.push(episode);
  }
  return episodes;
}

const merged = (a: Episode, b: Episode): Episode => ({
  start: Math.min(a.start, b.start),
  end: Math.max(a.end, b.end),
  uncertainty: Math.max(a.uncertainty, b.uncertainty),
});

/** Those of which a part lies in one of the intervals. */
export const episodesIn = (episodes: readonly Episode[], intervals: readonly Interval[]): Episode[] =>
  episodes.filter((e) => intervals.some(({ start, end }) => e.start < end && e.end > start));

const ms = ({ start, end }: Episode): number => (end - start) / 1e6;

/** @returns undefined where the guest was not seen to stand still. */
export function pauseOf(seen: readonly Standstill[], cpus: number): Pause | undefined {
  const episodes = episodesOf(seen, cpus);
  if (episodes.length === 0) return undefined;
  return {
    longestMs: Math.max(...episodes.map(ms)),
    totalMs: totalMs(episodes),
    episodes: episodes.length,
    uncertaintyMs: Math.max(...episodes.map((e) => e.uncertainty)) / 1e6,
  };
}

export const totalMs = (episodes: readonly Episode[]): number => episodes.reduce((sum, e) => sum + ms(e), 0);
