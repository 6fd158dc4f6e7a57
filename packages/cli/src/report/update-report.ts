/** The report of one update. */
import type { UpdateReportData } from "./data.ts";
import { formatBytes, formatCount, formatDate, formatMs, formatShare } from "./format.ts";
import { longestGap } from "./heartbeat.ts";
import { type Content, type Html, html, percent } from "./html.ts";
import { lens, type TimeLine, timeLine } from "./lanes.ts";
import { facts, page, tiles } from "./page.ts";
import {
  lastOfNew,
  type ShownPhase,
  type Standstill,
  showPhases,
  standstillMs,
  standstillSpan,
  standstillsOf,
} from "./phases.ts";

/** How much around the standstill is shown in its own chart, as a share of it. */
const AROUND = 0.06;

const lengthOf = ({ startMs, endMs }: Standstill) => endMs - startMs;

function pidsText({ pidBefore, pidAfter }: UpdateReportData): string | undefined {
  if (pidBefore === undefined && pidAfter === undefined) return undefined;
  if (pidBefore === pidAfter) return `${pidAfter} before and after`;
  return `${pidBefore ?? "?"} before, ${pidAfter ?? "?"} after`;
}

function verdict(data: UpdateReportData, stills: readonly Standstill[]): Content {
  const times = stills.length > 1 ? `, in ${stills.length} parts` : "";
  const stood =
    stills.length > 0
      ? html`The guest stood still for <strong>${formatMs(standstillMs(stills))}</strong>${times}.`
      : "The guest was not stopped.";
  if (data.status === "completed") return html`<p>The VMM was replaced under the running guest. ${stood}</p>`;
  const reason = data.error ?? "no reason was given";
  return html`<p class="bad"><strong>The update ${data.status}:</strong> ${reason}.</p><p>The guest runs on. ${stood}</p>`;
}

function headTiles(data: UpdateReportData, stills: readonly Standstill[]): Html {
  const entries: (readonly [string, string])[] = [[formatMs(standstillMs(stills)), "the guest stood still"]];
  if (data.totalMs !== undefined) entries.push([formatMs(data.totalMs), "the whole update"]);
  if (data.stateBytes !== undefined) entries.push([formatBytes(data.stateBytes), "state handed over"]);
  const { pidBefore, pidAfter } = data;
  if (pidAfter !== undefined) {
    entries.push([
      pidBefore === pidAfter ? String(pidAfter) : `${pidBefore ?? "?"} → ${pidAfter}`,
      "pid, before and after",
    ]);
  }
  return tiles(entries);
}

function notesOf(data: UpdateReportData): TimeLine["notes"] {
  const note = (pid: number | undefined, version: string | undefined) =>
    [pid !== undefined && `pid ${pid}`, version && `vmm ${version}`].filter(Boolean).join(", ");
  const old = note(data.pidBefore, data.versionBefore);
  const now = note(data.pidAfter, data.versionAfter);
  if (data.status === "completed" || data.pidBefore === data.pidAfter) return { old, new: now };
  // whoever runs the guest now is the old one again, and nobody knows of the other
  return { old: `${old}, then ${now}`, new: "failed" };
}

/** The chart in words, for whoever cannot see it. */
function wordsFor(phases: readonly ShownPhase[], stills: readonly Standstill[]): string {
  const parts = phases.map(({ number, name, durationMs }) => `${number} ${name}, ${formatMs(durationMs)}`);
  const stood = stills.map(({ startMs, endMs }) => `from ${formatMs(startMs)} to ${formatMs(endMs)}`);
  const guest =
    stood.length > 0 ? `The guest stands still ${stood.join(" and ")}.` : "The guest runs all the while.";
  return `Time line of the update. ${guest} Phases: ${parts.join("; ")}.`;
}

const KEYS: readonly (readonly [color: string, name: string])[] = [
  ["--guest", "guest counts"],
  ["--still", "guest stands still"],
  ["--asked", "new command is asked"],
  ["--old", "old VMM works"],
  ["--new", "new VMM works"],
  ["--keeper", "keeper guards"],
];

function keys(): Html {
  return html`<ul class="keys" aria-hidden="true">${KEYS.map(([color, name]) => html`<li style="--key:var(${color})">${name}</li>`)}</ul>`;
}

/** When the guest was seen to count again, if it was; where nobody looked, when the VMM says so. */
function seenAgain({ heartbeat }: UpdateReportData, span: Standstill | undefined): number {
  const gap = span && heartbeat && longestGap(heartbeat, span);
  return Math.max(gap?.endMs ?? 0, span?.endMs ?? 0);
}

/** The part of the update in which the guest stands still, in a chart of its own. */
function enlarged(whole: TimeLine, againMs: number): Content {
  const span = standstillSpan(whole.standstills);
  if (!span) return undefined;
  const margin = (againMs - span.startMs) * AROUND;
  const part = { startMs: Math.max(0, span.startMs - margin), endMs: againMs + margin };
  const within = whole.phases.filter(
    ({ startMs, durationMs }) => startMs + durationMs > span.startMs && startMs < span.endMs,
  );
  const words = `The standstill drawn larger. ${wordsFor(within, whole.standstills)}`;
  return [lens(whole, part), timeLine({ ...whole, fromMs: part.startMs, toMs: part.endMs }, words, true)];
}

function timeLineSection(
  data: UpdateReportData,
  phases: readonly ShownPhase[],
  standstills: readonly Standstill[],
): Html {
  const last = phases.at(-1);
  const againMs = seenAgain(data, standstillSpan(standstills));
  const end = Math.max(data.totalMs ?? 0, last ? last.startMs + last.durationMs : 0, againMs);
  // a little after the end, so that the guest is seen to run on
  const toMs = end * 1.03 || 1;
  const { heartbeat } = data;
  const lines = { phases, standstills, heartbeat, notes: notesOf(data), lastOfNew: lastOfNew(data) };
  const whole: TimeLine = { ...lines, fromMs: 0, toMs };
  const about =
    standstills.length > 0
      ? "Above the whole update, below the part in which the guest stands still, drawn larger. The numbers are those of the table."
      : "The numbers are those of the table.";
  return html`<section aria-labelledby="line"><h2 id="line">Time line</h2><p class="quiet">${about}</p>${timeLine(whole, wordsFor(phases, standstills))}${enlarged(whole, againMs)}${keys()}</section>`;
}

const ACTORS = { old: "old VMM", asked: "new command", new: "new VMM" } as const;

/** A phase that touches a standstill for less is one that lies beside it. */
const LEAST_MS = 0.005;

function shareCell(stillMs: number, allMs: number): Html {
  if (stillMs < LEAST_MS) return html`<td class="n part"><span class="quiet">runs</span></td>`;
  const share = Math.min(1, stillMs / allMs);
  return html`<td class="n part">${formatShare(share)}<span class="share" style="width:${percent(share)}"></span></td>`;
}

function phaseRow(phase: ShownPhase, allMs: number): Html {
  const { number, name, actor, startMs, durationMs, meaning, stillMs } = phase;
  return html`<tr><th scope="row"><span class="dot ${actor}">${number}</span>${name}<small class="who" aria-hidden="true">${ACTORS[actor]}</small></th><td class="by">${ACTORS[actor]}</td><td class="does">${meaning}</td><td class="n begins">${formatMs(startMs)}</td><td class="n">${formatMs(durationMs)}</td>${shareCell(stillMs, allMs)}</tr>`;
}

function tableFoot(phases: readonly ShownPhase[], stills: readonly Standstill[]): Content {
  const [first] = stills;
  if (!first) return undefined;
  const allMs = standstillMs(stills);
  const known = phases.reduce((sum, { stillMs }) => sum + stillMs, 0);
  return html`<tfoot><tr><th scope="row">standstill</th><td class="by"></td><td class="does"></td><td class="n begins">${formatMs(first.startMs)}</td><td class="n">${formatMs(allMs)}</td><td class="n part">${formatShare(Math.min(1, known / allMs))}</td></tr></tfoot>`;
}

function phaseTable(
  data: UpdateReportData,
  phases: readonly ShownPhase[],
  stills: readonly Standstill[],
): Html {
  const allMs = standstillMs(stills);
  return html`<section aria-labelledby="phases"><h2 id="phases">Phase by phase</h2>
<p class="quiet">As the VMM timed them${data.totalMs !== undefined && html`, ${formatMs(data.totalMs)} in all`}. The last column is the share of the time for which the guest stood still.</p>
<div class="scroll" role="region" aria-labelledby="phases" tabindex="0"><table><thead><tr><th scope="col">Phase</th><th scope="col" class="by">By</th><th scope="col" class="does">What is done</th><th scope="col" class="n begins">Begins</th><th scope="col" class="n">Takes</th><th scope="col" class="n part">Standstill</th></tr></thead>
<tbody>${phases.map((phase) => phaseRow(phase, allMs))}</tbody>${tableFoot(phases, stills)}</table></div></section>`;
}

function observed(data: UpdateReportData, stills: readonly Standstill[]): Content {
  const { heartbeat } = data;
  if (!heartbeat || heartbeat.length < 2) {
    return "Not from outside: known is when the VMM stopped the vCPUs and when it ran them again.";
  }
  const span = standstillSpan(stills);
  const gap = span && longestGap(heartbeat, span);
  const [first, last] = [heartbeat[0], heartbeat.at(-1)];
  const every = ((last?.atMs ?? 0) - (first?.atMs ?? 0)) / (heartbeat.length - 1);
  const seen = gap
    ? `the guest's count stood still for ${formatMs(lengthOf(gap))}${stills.length > 1 ? " at a time" : ""}`
    : "the guest's count never stood still";
  return `${seen}, by ${formatCount(heartbeat.length)} looks at its RAM, one every ${formatMs(every)}`;
}

function factSection(data: UpdateReportData, stills: readonly Standstill[]): Html {
  const { vm, host, versionBefore, versionAfter, command, seen } = data;
  const versions = [versionBefore, versionAfter].filter((version) => version !== undefined);
  return html`<section aria-labelledby="facts"><h2 id="facts">Facts</h2>${facts([
    ["Outcome", data.status],
    ["Mode", data.mode],
    ["Pid", pidsText(data)],
    ["vmm", [...new Set(versions)].join(" → ")],
    ["New command", command && html`<code>${command.join(" ")}</code>`],
    ["Seen from outside", observed(data, stills)],
    ["Statuses", seen?.map(({ what, atMs }) => `${what} at ${formatMs(atMs)}`).join(", ")],
    [
      "VM",
      `${vm.name}: ${vm.cpus} ${vm.cpus === 1 ? "vCPU" : "vCPUs"}, ${formatBytes(vm.memory)} of RAM, ${vm.accel}`,
    ],
    ["Host", `${host.system}, ${host.cpus} × ${host.processor}, ${formatBytes(host.memory)} of RAM`],
    ["When", formatDate(data.startedAt)],
  ])}</section>`;
}

/** One page about an update: its time line, its phases, and the facts. It needs nothing but itself. */
export function renderUpdateReport(data: UpdateReportData): string {
  const stills = standstillsOf(data);
  const phases = showPhases(data.phases, stills, lastOfNew(data));
  const title = `Live update of ${data.vm.name}`;
  return page(
    title,
    html`<header><h1>${title}</h1>${verdict(data, stills)}</header>
${headTiles(data, stills)}
${phases.length > 0 && timeLineSection(data, phases, stills)}
${phases.length > 0 && phaseTable(data, phases, stills)}
${factSection(data, stills)}`,
  );
}
