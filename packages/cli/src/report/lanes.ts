/** The time line of an update: the guest's heartbeat above a lane for each process. */
import { type Axis, axis } from "./axis.ts";
import type { HeartbeatSample } from "./data.ts";
import { formatMs, formatTick } from "./format.ts";
import { linePoints } from "./heartbeat.ts";
import { type Content, type Html, html, percent } from "./html.ts";
import type { ShownPhase, Standstill } from "./phases.ts";

export interface TimeLine {
  readonly phases: readonly ShownPhase[];
  readonly standstills: readonly Standstill[];
  readonly heartbeat?: readonly HeartbeatSample[] | undefined;
  /** What the lanes' names say beside who it is, such as `pid 4711`. */
  readonly notes: { readonly old: string; readonly new: string };
  /** The last phase of a new VMM that failed, after which the old one is there again. */
  readonly lastOfNew?: string | undefined;
  /** Of the part that is shown, in ms. */
  readonly fromMs: number;
  readonly toMs: number;
}

const MARKS = 5;

interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** Left end and width in a track; what lies outside is cut off. */
function place(scale: Axis, { startMs, endMs }: Span): string {
  const left = scale.at(startMs);
  return `left:${percent(left)};width:${percent(scale.at(endMs) - left)}`;
}

const isWithin = (scale: Axis, { startMs, endMs }: Span) => endMs > scale.min && startMs < scale.max;

function bar(scale: Axis, phase: ShownPhase): Content {
  const span = { startMs: phase.startMs, endMs: phase.startMs + phase.durationMs };
  if (!isWithin(scale, span)) return undefined;
  const title = `${phase.number}. ${phase.name}: ${formatMs(phase.durationMs)}`;
  return html`<span class="bar ${phase.actor}" style="${place(scale, span)}" title="${title}"><b>${phase.number}</b><i>${phase.name}</i></span>`;
}

function lane(
  scale: Axis,
  { standstills }: TimeLine,
  name: string,
  note: string,
  ...contents: readonly Content[]
): Html {
  const still = standstills.map(
    (one) => isWithin(scale, one) && html`<span class="still" style="${place(scale, one)}"></span>`,
  );
  return html`<div class="name">${name} <small>${note}</small></div><div class="track">${still}${contents}</div>`;
}

const life = (scale: Axis, who: "old" | "new", span: Span): Content =>
  isWithin(scale, span) && html`<span class="life ${who}" style="${place(scale, span)}"></span>`;

const FOR_EVER = Number.MAX_VALUE;

/** From when to when each process is there, as far as the phases tell. */
function lives({ phases, fromMs, lastOfNew }: TimeLine) {
  const endOf = ({ startMs, durationMs }: ShownPhase) => startMs + durationMs;
  const named = (name: string) => phases.find((phase) => phase.name === name);
  const before = fromMs - 1;
  const [exec, keeper, last] = [named("exec"), named("keeper"), lastOfNew && named(lastOfNew)];
  const isNewThere = phases.find(({ actor }) => actor === "new");
  const end = Math.max(0, ...phases.map(endOf));
  const old: Span[] = [{ startMs: before, endMs: exec?.startMs ?? (isNewThere ? end : FOR_EVER) }];
  // the old command again
  if (last) old.push({ startMs: endOf(last), endMs: FOR_EVER });
  return {
    old,
    new: isNewThere && { startMs: isNewThere.startMs, endMs: last ? endOf(last) : FOR_EVER },
    keeper: keeper && { startMs: keeper.startMs, endMs: end },
  };
}

const svg = (lines: Content) =>
  html`<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">${lines}</svg>`;

const polyline = (className: string, points: readonly (readonly [x: number, y: number])[]) =>
  html`<polyline class="${className}" points="${points.map(([x, y]) => `${(x * 100).toFixed(2)},${(82 - 64 * y).toFixed(2)}`).join(" ")}"/>`;

/** The guest as a line that rises while it counts; without samples, as one that is known to have stopped and run. */
function heartbeatLine(line: TimeLine, scale: Axis): Html {
  const samples = linePoints(line.heartbeat ?? [], scale.min, scale.max);
  return svg(samples.length > 0 ? polyline("beat", samples) : knownLine(line, scale));
}

/** It rises as fast after a standstill as before. */
function knownLine({ standstills }: TimeLine, scale: Axis): Html[] {
  const stills = standstills.map(({ startMs, endMs }) => [scale.at(startMs), scale.at(endMs)] as const);
  const runs = 1 - stills.reduce((sum, [from, to]) => sum + to - from, 0) || 1;
  let [x, y] = [0, 0];
  const lines = stills.flatMap(([from, to]) => {
    const top = y + (from - x) / runs;
    const drawn = [
      polyline("beat", [
        [x, y],
        [from, top],
      ]),
      polyline("halt", [
        [from, top],
        [to, top],
      ]),
    ];
    [x, y] = [to, top];
    return drawn;
  });
  return [
    ...lines,
    polyline("beat", [
      [x, y],
      [1, 1],
    ]),
  ];
}

function guestLane(line: TimeLine, scale: Axis): Html {
  const gaps = line.standstills
    .filter((still) => isWithin(scale, still))
    .map(
      (still) =>
        html`<span class="gap" style="${place(scale, still)}"><b>still for ${formatMs(still.endMs - still.startMs)}</b></span>`,
    );
  const note = line.heartbeat ? "its count, seen from outside" : "runs, stands still, runs";
  return lane(scale, line, "Guest", note, heartbeatLine(line, scale), gaps);
}

function processLanes(line: TimeLine, scale: Axis): Html[] {
  const { phases, notes } = line;
  const there = lives(line);
  const bars = (...actors: readonly string[]) =>
    phases.filter(({ actor }) => actors.includes(actor)).map((phase) => bar(scale, phase));
  const oldLife = there.old.map((span) => life(scale, "old", span));
  const newLife = there.new && life(scale, "new", there.new);
  return [
    lane(scale, line, "Old VMM", notes.old, oldLife, bars("old")),
    lane(scale, line, "New VMM", notes.new, newLife, bars("asked", "new")),
    ...(there.keeper
      ? [lane(scale, line, "Keeper", "until the commit", keeperBar(scale, there.keeper))]
      : []),
  ];
}

function keeperBar(scale: Axis, guards: Span): Content {
  const title = `keeper: ${formatMs(guards.endMs - guards.startMs)}`;
  return (
    isWithin(scale, guards) &&
    html`<span class="bar keeper" style="${place(scale, guards)}" title="${title}"><i>guards</i></span>`
  );
}

/** The marks below a chart. The outer ones do not stick out. */
export function axisMarks(scale: Axis, text: (value: number) => string): Html[] {
  return scale.ticks.map((value) => {
    const at = scale.at(value);
    const end = at < 0.04 ? "first" : at > 0.96 ? "last" : "";
    return html`<span class="${end}" style="left:${percent(at)}">${text(value)}</span>`;
  });
}

/**
 * @param about What the picture shows, in words.
 * @param isLarger It shows a part of the chart above it.
 */
export function timeLine(line: TimeLine, about: string, isLarger = false): Html {
  const scale = axis(line.fromMs, line.toMs, MARKS);
  return html`<div class="chart${isLarger && " larger"}" role="img" aria-label="${about}">
${guestLane(line, scale)}
${processLanes(line, scale)}
<div class="axis">${axisMarks(scale, (value) => formatTick(value, scale.step))}</div>
</div>`;
}

/** Shows that the chart below is the part of the one above in which the guest stands still. */
export function lens(line: TimeLine, part: Span): Html {
  const scale = axis(line.fromMs, line.toMs, MARKS);
  const [from, to] = [scale.at(part.startMs) * 100, scale.at(part.endMs) * 100];
  return html`<div class="chart between"><svg class="lens" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><polygon points="${from.toFixed(2)},0 ${to.toFixed(2)},0 100,10 0,10"/></svg></div>`;
}
