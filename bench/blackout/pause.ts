/** From standstills of single vCPUs to the pause of a guest. */
import type { Standstill } from "../lib/observer/log.ts";

export interface Pause {
  /** From the stop of the first vCPU until the last one ran again (ns of CLOCK_MONOTONIC). */
  readonly start: number;
  readonly end: number;
  readonly ms: number;
  /** All standstills around it, of the vCPU that stood still the longest, in sum (ms). */
  readonly sumMs: number;
  /** ms by which the edges may be off, at the most. */
  readonly uncertaintyMs: number;
}

/** Other standstills this near to the pause belong to it (ns). */
const NEAR = 50e6;

/**
 * The pause of an update: of each vCPU the longest standstill, from the first one's beginning to the last one's end.
 *
 * @param seen What was seen while the update went on.
 * @returns undefined where a vCPU was not seen to stand still.
 */
export function pauseOf(seen: readonly Standstill[], cpus: number): Pause | undefined {
  const longest = Array.from({ length: cpus }, (_, cpu) =>
    seen
      .filter((s) => s.cpu === cpu)
      .reduce<Standstill | undefined>((a, b) => (a && a.ns >= b.ns ? a : b), undefined),
  );
  if (!longest.every((s) => s !== undefined)) return undefined;
  const start = Math.min(...longest.map((s) => s.start));
  const end = Math.max(...longest.map((s) => s.end));
  const sums = longest.map(({ cpu }) =>
    seen
      .filter((s) => s.cpu === cpu && s.end > start - NEAR && s.start < end + NEAR)
      .reduce((sum, s) => sum + s.ns, 0),
  );
  return {
    start,
    end,
    ms: (end - start) / 1e6,
    sumMs: Math.max(...sums) / 1e6,
    uncertaintyMs: Math.max(...longest.map((s) => s.uncertainty)) / 1e6,
  };
}
