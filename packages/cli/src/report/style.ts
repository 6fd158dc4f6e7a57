/** The style of all reports: light and dark, wide and narrow, with nothing from elsewhere. */

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --text: #1b2128; --quiet: #55606c; --line: #d5dae0; --grid: #e7eaee;
  --old: #2c5cb0; --new: #12714a; --keeper: #6a4ba3; --asked: #0f6f80; --guest: #b8420a; --on: #ffffff;
  --still: #fbe3d3; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161a; --card: #1a2026; --text: #e7ebef; --quiet: #a4afba; --line: #38424c; --grid: #283039;
    --old: #84b0f8; --new: #62c897; --keeper: #bda4f2; --asked: #63c3d3; --guest: #f9a06a; --on: #0e1317;
    --still: #44301f; --bad: #ff8f86;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: clamp(0.75rem, 3vw, 2.5rem) clamp(0.75rem, 4vw, 2.5rem); background: var(--page);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
main { max-width: 66rem; margin: 0 auto; }
h1 { font-size: clamp(1.35rem, 4.5vw, 1.9rem); line-height: 1.2; margin: 0 0 0.35rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; line-height: 1.3; margin: 0 0 0.25rem; }
p { margin: 0 0 0.75rem; max-width: 52rem; }
.quiet { color: var(--quiet); }
.bad { color: var(--bad); }
section, header { margin-bottom: 1.25rem; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: clamp(0.8rem, 2.5vw, 1.4rem);
}
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.6rem; margin: 1rem 0 1.25rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.7rem 0.9rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.25; font-weight: 650; }
.tile span { color: var(--quiet); font-size: 0.875rem; }
.tile.main b { color: var(--guest); }

/* Lanes of a time line. Each track is as wide as the others; a bar's place in it is a percentage. */
.chart { display: grid; grid-template-columns: 10.5rem 1fr; margin-top: 0.9rem; }
.chart .name { grid-column: 1; align-self: center; padding-right: 0.75rem; font-size: 0.9rem; line-height: 1.25; overflow-wrap: anywhere; }
.chart .name small { display: block; color: var(--quiet); font-size: 0.8rem; }
.track { grid-column: 2; position: relative; height: 3.1rem; border-bottom: 1px solid var(--grid); }
.track > * { position: absolute; }
.still { top: 0; bottom: 0; background: var(--still); }
.life { top: calc(50% - 1px); height: 2px; background: currentColor; opacity: 0.45; }
.bar {
  top: 0.55rem; bottom: 0.55rem; min-width: 2px; border-radius: 3px; overflow: hidden; container-type: inline-size;
  display: flex; align-items: center; justify-content: center; color: var(--on); font-size: 0.75rem; line-height: 1;
}
.bar b, .bar i { display: none; font-style: normal; font-weight: 600; white-space: nowrap; }
@container (min-width: 0.9rem) { .bar b { display: inline; } }
@container (min-width: 5.2rem) { .bar i { display: inline; margin-left: 0.35em; } }
.old { background: var(--old); } .new { background: var(--new); } .keeper { background: var(--keeper); }
.asked { background: var(--asked); }
.life.old { color: var(--old); } .life.new { color: var(--new); }
.track svg { inset: 0; width: 100%; height: 100%; }
.beat { fill: none; stroke: var(--guest); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.halt { fill: none; stroke: var(--guest); stroke-width: 2; stroke-dasharray: 2 4; vector-effect: non-scaling-stroke; }
.gap { top: 0; bottom: 0; display: flex; align-items: center; justify-content: center; container-type: inline-size; }
.gap b {
  display: none; background: var(--card); color: var(--guest); border: 1px solid var(--guest); border-radius: 1rem;
  padding: 0.05rem 0.55rem; font-size: 0.8rem; white-space: nowrap;
}
@container (min-width: 8.5rem) { .gap b { display: inline; } }
.axis { grid-column: 2; position: relative; height: 1.7rem; font-size: 0.78rem; color: var(--quiet); }
.axis span { position: absolute; top: 0.35rem; transform: translateX(-50%); white-space: nowrap; }
.axis span::before {
  content: ""; position: absolute; left: 50%; top: -0.35rem; height: 0.3rem; border-left: 1px solid var(--line);
}
.axis span.first { transform: none; } .axis span.first::before { left: 0; }
.axis span.last { transform: translateX(-100%); } .axis span.last::before { left: 100%; }
.chart.between { margin: 0; }
.lens { grid-column: 2; height: 2rem; width: 100%; display: block; }
.chart.larger { margin-top: 0; }
.lens polygon { fill: var(--still); }
.keys { display: flex; flex-wrap: wrap; gap: 0.3rem 1.1rem; margin: 0.6rem 0 0; padding: 0; list-style: none; font-size: 0.85rem; }
.keys li::before {
  content: ""; display: inline-block; width: 0.8rem; height: 0.8rem; border-radius: 3px; margin-right: 0.4rem;
  vertical-align: -0.1rem; background: var(--key); border: 1px solid var(--line);
}

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td { text-align: left; padding: 0.38rem 0.7rem 0.38rem 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
thead th { color: var(--quiet); font-weight: 500; font-size: 0.82rem; border-bottom-color: var(--line); }
th.n, td.n { text-align: right; white-space: nowrap; }
tbody th, tfoot th { font-weight: 600; white-space: nowrap; }
td.does { color: var(--quiet); width: 45%; }
tfoot th, tfoot td { font-weight: 650; border-bottom: 0; }
.dot { display: inline-block; min-width: 1.45rem; padding: 0 0.2rem; border-radius: 3px; margin-right: 0.45rem; text-align: center; color: var(--on); font-size: 0.75rem; }
.who { display: none; color: var(--quiet); font-weight: 400; font-size: 0.82em; }
.share { display: block; height: 4px; border-radius: 2px; background: var(--guest); margin: 0.3rem 0 0 auto; min-width: 1px; }
th.part, td.part { width: 7.5rem; }
dl { display: grid; grid-template-columns: minmax(7.5rem, auto) 1fr; gap: 0.3rem 1.2rem; margin: 0.5rem 0 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: 0.88em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }

/* Diagrams of many updates. */
.plot { position: relative; margin: 1rem 0 0 3.6rem; height: 15rem; border-left: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot .ytick { position: absolute; right: 100%; transform: translateY(50%); padding-right: 0.5rem; font-size: 0.78rem; color: var(--quiet); white-space: nowrap; }
.plot .mark { position: absolute; top: 0; bottom: 0; border-left: 1.5px dashed var(--text); }
.plot .mark b { position: absolute; left: 0.3rem; top: var(--top, 0); font-size: 0.78rem; background: var(--card); padding: 0 0.2rem; white-space: nowrap; z-index: 1; }
.plot .mark.flip b { left: auto; right: 0.3rem; }
.under { position: relative; margin-left: 3.6rem; height: 1.7rem; font-size: 0.78rem; color: var(--quiet); }
.under span { position: absolute; top: 0.25rem; transform: translateX(-50%); white-space: nowrap; }
.under span.first { transform: none; } .under span.last { transform: translateX(-100%); }
.dots.few { stroke-width: 7; opacity: 0.85; }
.column { fill: var(--old); }
.dots { fill: none; stroke: var(--old); stroke-width: 4; stroke-linecap: round; vector-effect: non-scaling-stroke; opacity: 0.6; }
td.curve, th.curve { width: 30%; padding-right: 0; padding-left: 1.2rem; }
.spark { display: block; width: 100%; height: 1.6rem; overflow: visible; }
.spark polyline { fill: none; stroke: var(--old); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.gridline { stroke: var(--grid); stroke-width: 1; vector-effect: non-scaling-stroke; }
.caption { margin: 0 0 0 3.6rem; font-size: 0.82rem; color: var(--quiet); }

@media (max-width: 38rem) {
  .chart { grid-template-columns: 1fr; }
  .chart .name, .track, .axis, .lens { grid-column: 1; }
  .chart .name { padding: 0.45rem 0 0.1rem; } .chart .name small { display: inline; margin-left: 0.4rem; }
  .track { height: 2.5rem; } .bar { top: 0.4rem; bottom: 0.4rem; }
  td.does, th.does, td.begins, th.begins, td.by, th.by, td.curve, th.curve, td.more, th.more { display: none; } .who { display: block; }
  table { font-size: 0.88rem; } th, td { padding-right: 0.5rem; } th.part, td.part { width: 4.5rem; padding-right: 0; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 0.55rem; }
  .axis:has(span:nth-child(5)) span:nth-child(even), .under:has(span:nth-child(5)) span:nth-child(even) { display: none; }
  .plot { margin-left: 2.9rem; height: 12rem; } .under, .caption { margin-left: 2.9rem; }
}
@media print { body { background: none; } section, .tile { break-inside: avoid; } }
`;
