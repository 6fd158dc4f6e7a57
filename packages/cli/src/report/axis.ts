/** A scale of numbers: where each lies between the ends, and which of them get a mark. */

export interface Axis {
  readonly min: number;
  readonly max: number;
  /** Between two marks. */
  readonly step: number;
  readonly ticks: readonly number[];
  /** 0 at the lower end, 1 at the upper; others lie at the end that is nearer. */
  at(value: number): number;
}

/** Steps that people count in. */
const STEPS = [1, 2, 2.5, 5, 10];

function niceStep(span: number, marks: number): number {
  const raw = span / marks;
  const power = 10 ** Math.floor(Math.log10(raw));
  return (STEPS.find((step) => step * power >= raw * 0.999) ?? 10) * power;
}

/**
 * @param marks How many marks there are to be, at the most.
 * @param least The smallest step between two of them: 1 for what is counted.
 */
export function axis(min: number, max: number, marks: number, least = 0): Axis {
  const span = max > min ? max - min : 1;
  const step = Math.max(least, niceStep(span, marks));
  const ticks: number[] = [];
  // no mark is lost, or called -0, for a rounding error
  const [first, last] = [Math.ceil(min / step - 1e-9), Math.floor((min + span) / step + 1e-9)];
  for (let i = first; i <= last; i++) ticks.push(i * step + 0);
  return { min, max: min + span, step, ticks, at: (value) => Math.min(1, Math.max(0, (value - min) / span)) };
}
