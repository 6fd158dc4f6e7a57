/** The report of many updates in a row under one guest. */
import type { SoakGauge, SoakReportData } from "./data.ts";
import { formatBytes, formatCount, formatDate, formatMs } from "./format.ts";
import { type Content, type Html, html } from "./html.ts";
import { facts, page, tiles } from "./page.ts";
import { histogramPlot, type SeriesPoint, seriesPlot } from "./plots.ts";
import { histogram, percentile } from "./statistics.ts";

interface ModeSeries {
  readonly mode: string;
  readonly points: readonly SeriesPoint[];
  /** The pauses in rising order. */
  readonly sorted: readonly number[];
}

const rising = (values: readonly number[]) => values.toSorted((a, b) => a - b);

/** The updates of each mode, in the order in which the modes first came. */
function seriesOf({ updates }: SoakReportData): ModeSeries[] {
  const numbered = updates.map(({ mode, pauseMs }, i) => ({ mode, pauseMs, number: i + 1 }));
  return [...Map.groupBy(numbered, ({ mode }) => mode)].map(([mode, points]) => ({
    mode,
    points,
    sorted: rising(points.map(({ pauseMs }) => pauseMs)),
  }));
}

const PERCENTILES = [50, 90, 99, 99.9, 100] as const;

const percentileName = (percent: number) =>
  percent === 50 ? "Median" : percent === 100 ? "Longest" : `p${percent}`;

/** A narrow screen has room for some of them only. */
const numberClass = (percent: number) => ([50, 99, 100].includes(percent) ? "n" : "n more");

function percentileRow(name: string, sorted: readonly number[]): Html {
  const cells = PERCENTILES.map(
    (p) => html`<td class="${numberClass(p)}">${formatMs(percentile(sorted, p))}</td>`,
  );
  return html`<tr><th scope="row">${name}</th><td class="n more">${formatCount(sorted.length)}</td><td class="n more">${formatMs(percentile(sorted, 0))}</td>${cells}</tr>`;
}

function percentileTable(data: SoakReportData, series: readonly ModeSeries[]): Html {
  const all = rising(data.updates.map(({ pauseMs }) => pauseMs));
  const rows = series.map(({ mode, sorted }) => percentileRow(mode, sorted));
  return html`<section aria-labelledby="pauses"><h2 id="pauses">How long the guest stood still</h2>
<p class="quiet">Measured by ${data.measuredBy}.</p>
<div class="scroll" role="region" aria-labelledby="pauses" tabindex="0"><table><thead><tr><th scope="col">Mode</th><th scope="col" class="n more">Updates</th><th scope="col" class="n more">Shortest</th>${PERCENTILES.map((p) => html`<th scope="col" class="${numberClass(p)}">${percentileName(p)}</th>`)}</tr></thead>
<tbody>${rows}</tbody>${series.length > 1 && html`<tfoot>${percentileRow("all", all)}</tfoot>`}</table></div></section>`;
}

function modeSection({ mode, points, sorted }: ModeSeries, updates: number): Html {
  return html`<section><h2>${mode}</h2>
${histogramPlot(sorted, histogram(sorted), mode)}
${seriesPlot(points, updates, mode)}</section>`;
}

/** A line through a gauge's values, from its smallest to its largest. */
function sparkline(values: readonly number[]): Content {
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const points = values.map((value, i) => {
    const x = (i / Math.max(1, values.length - 1)) * 100;
    return `${x.toFixed(2)},${(max === min ? 50 : 90 - ((value - min) / (max - min)) * 80).toFixed(2)}`;
  });
  return html`<svg class="spark" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true"><polyline points="${points.join(" ")}"/></svg>`;
}

function gaugeRow({ name, unit, values }: SoakGauge): Html {
  const text = unit === "bytes" ? formatBytes : formatCount;
  const [first, last] = [values[0] ?? 0, values.at(-1) ?? 0];
  const growth = last - first;
  const grown = growth === 0 ? "none" : (growth > 0 ? "+" : "−") + text(Math.abs(growth));
  return html`<tr><th scope="row">${name}</th><td class="n more">${text(first)}</td><td class="n">${text(last)}</td><td class="n more">${text(Math.max(...values))}</td><td class="n">${grown}</td><td class="curve">${sparkline(values)}</td></tr>`;
}

function gaugeTable({ gauges }: SoakReportData): Html {
  return html`<section aria-labelledby="growth"><h2 id="growth">What must not grow</h2>
<div class="scroll" role="region" aria-labelledby="growth" tabindex="0"><table><thead><tr><th scope="col">What</th><th scope="col" class="n more">First</th><th scope="col" class="n">Last</th><th scope="col" class="n more">Largest</th><th scope="col" class="n">Growth</th><th scope="col" class="curve">Course</th></tr></thead>
<tbody>${gauges.filter(({ values }) => values.length > 0).map(gaugeRow)}</tbody></table></div></section>`;
}

function failureSection({ failures }: SoakReportData): Content {
  if (failures.length === 0) return undefined;
  return html`<section aria-labelledby="failures"><h2 id="failures" class="bad">What went wrong</h2><ul>${failures.map((line) => html`<li>${line}</li>`)}</ul></section>`;
}

function headTiles(data: SoakReportData, series: readonly ModeSeries[]): Html {
  const pauses = rising(data.updates.map(({ pauseMs }) => pauseMs));
  const counts: [string, string][] = [
    [formatCount(data.updates.length), "updates in a row"],
    [formatCount(data.failures.length), "went wrong"],
    [formatMs(data.totalMs), "in all"],
  ];
  if (pauses.length === 0) return tiles(counts);
  const one = series.length === 1;
  return tiles([
    [formatMs(percentile(pauses, 50)), one ? "median of the pauses" : "median of all pauses"],
    [formatMs(percentile(pauses, 100)), "longest pause"],
    ...counts,
  ]);
}

function factSection({ vm, host, version, startedAt }: SoakReportData): Html {
  return html`<section aria-labelledby="facts"><h2 id="facts">Facts</h2>${facts([
    ["vmm", version],
    [
      "VM",
      `${vm.name}: ${vm.cpus} ${vm.cpus === 1 ? "vCPU" : "vCPUs"}, ${formatBytes(vm.memory)} of RAM, ${vm.accel}`,
    ],
    ["Host", `${host.system}, ${host.cpus} × ${host.processor}, ${formatBytes(host.memory)} of RAM`],
    ["When", formatDate(startedAt)],
  ])}</section>`;
}

/** One page about a soak: how the pauses are spread, whether they or anything else grew, and the facts. */
export function renderSoakReport(data: SoakReportData): string {
  const series = seriesOf(data);
  const title = `${formatCount(data.updates.length)} live updates of ${data.vm.name}`;
  const outcome =
    data.failures.length === 0
      ? html`<p>One guest ran through all of them.</p>`
      : html`<p class="bad">Something went wrong ${data.failures.length === 1 ? "once" : `${formatCount(data.failures.length)} times`}.</p>`;
  return page(
    title,
    html`<header><h1>${title}</h1>${outcome}</header>
${headTiles(data, series)}
${failureSection(data)}
${series.length > 0 && percentileTable(data, series)}
${series.map((one) => modeSection(one, data.updates.length))}
${gaugeTable(data)}
${factSection(data)}`,
  );
}
