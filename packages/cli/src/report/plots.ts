/** Diagrams of many updates: how the pauses are spread, and how they go on. */
import { type Axis, axis } from "./axis.ts";
import { formatCount, formatMs, formatTick } from "./format.ts";
import { type Content, type Html, html, percent } from "./html.ts";
import { axisMarks } from "./lanes.ts";
import { type Histogram, percentile } from "./statistics.ts";

const X_MARKS = 6;
const Y_MARKS = 5;
/** So many points have room to be large. */
const FEW = 300;

const upward = (scale: Axis, value: number) => 100 - scale.at(value) * 100;

function yMarks(scale: Axis, text: (value: number) => string): Html[] {
  return scale.ticks.map((value) => {
    return html`<span class="ytick" style="bottom:${percent(scale.at(value))}">${text(value)}</span>`;
  });
}

function gridLines(scale: Axis): Html[] {
  return scale.ticks.map((value) => {
    const y = upward(scale, value).toFixed(2);
    return html`<line class="gridline" x1="0" x2="100" y1="${y}" y2="${y}"/>`;
  });
}

/** @param about What the diagram shows, in words. */
function plot(
  y: Axis,
  yText: (value: number) => string,
  about: string,
  shapes: Content,
  marks: Content,
): Html {
  return html`<div class="plot" role="img" aria-label="${about}">
<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">${gridLines(y)}${shapes}</svg>
${yMarks(y, yText)}${marks}
</div>`;
}

/** A percentile as a line across a diagram; its name goes where there is room. */
function mark(x: Axis, value: number, name: string, row: number): Html {
  const at = x.at(value);
  return html`<span class="mark${at > 0.6 && " flip"}" style="left:${percent(at)};--top:${row * 1.25}rem"><b>${name} ${formatMs(value)}</b></span>`;
}

/**
 * How many updates had a pause of which length.
 *
 * @param sorted The pauses in rising order.
 */
export function histogramPlot(sorted: readonly number[], { bins, beyond }: Histogram, mode: string): Html {
  const [first, last] = [bins[0], bins.at(-1)];
  const x = axis(first?.from ?? 0, last?.to ?? 1, X_MARKS);
  const y = axis(0, Math.max(1, ...bins.map(({ count }) => count)) * 1.12, Y_MARKS, 1);
  const bars = bins.map(({ from, to, count }) => {
    const [left, width] = [x.at(from) * 100, (x.at(to) - x.at(from)) * 100];
    const top = upward(y, count);
    return html`<rect class="column" x="${(left + width * 0.06).toFixed(2)}" width="${(width * 0.88).toFixed(2)}" y="${top.toFixed(2)}" height="${(100 - top).toFixed(2)}"><title>${formatMs(from)} to ${formatMs(to)}: ${formatCount(count)}</title></rect>`;
  });
  const [median, p99] = [percentile(sorted, 50), percentile(sorted, 99)];
  const marks = [mark(x, median, "median", 0), mark(x, p99, "p99", 1)];
  const about = `Histogram of the pauses of ${formatCount(sorted.length)} updates by ${mode}: half of them at most ${formatMs(median)}, 99 of 100 at most ${formatMs(p99)}.`;
  const rest =
    beyond.length > 0 &&
    `; ${formatCount(beyond.length)} longer ${beyond.length === 1 ? "one is" : "ones are"} not drawn, up to ${formatMs(beyond.at(-1) as number)}`;
  return html`${plot(y, (count) => formatCount(count), about, bars, marks)}
<div class="under" aria-hidden="true">${axisMarks(x, (ms) => formatTick(ms, x.step))}</div>
<p class="caption">Updates by the length of their pause${rest}</p>`;
}

export interface SeriesPoint {
  /** The update's number, from 1. */
  readonly number: number;
  readonly pauseMs: number;
}

/** Each update's pause, in the order in which they were made: whether they grow. */
export function seriesPlot(points: readonly SeriesPoint[], updates: number, mode: string): Html {
  const x = axis(1, Math.max(2, updates), X_MARKS, 1);
  const pauses = points.map(({ pauseMs }) => pauseMs);
  const y = axis(0, Math.max(...pauses) * 1.05, Y_MARKS);
  const path = points
    .map(({ number, pauseMs }) => `M${(x.at(number) * 100).toFixed(2)} ${upward(y, pauseMs).toFixed(2)}h0`)
    .join("");
  const half = Math.ceil(points.length / 2);
  const middle = (part: readonly number[]) =>
    percentile(
      part.toSorted((a, b) => a - b),
      50,
    );
  const [early, late] = [middle(pauses.slice(0, half)), middle(pauses.slice(-half))];
  const about = `The pause of each update by ${mode} in order: the median of the first half is ${formatMs(early)}, of the second half ${formatMs(late)}.`;
  return html`${plot(y, (ms) => formatTick(ms, y.step), about, html`<path class="dots${points.length <= FEW && " few"}" d="${path}"/>`, undefined)}
<div class="under" aria-hidden="true">${axisMarks(x, (n) => formatCount(n))}</div>
<p class="caption">Pause of each update, by its number. Median of the first half ${formatMs(early)}, of the second half ${formatMs(late)}</p>`;
}
