/** The report of one update. */
import type { UpdateReportData } from "./data.ts";
import { formatBytes, formatCount, formatDate, formatMs, formatShare } from "./format.ts";
import { longestGap } from "./heartbeat.ts";
import { type Content, type Html, html, percent } from "./html.ts";
import { lens, type TimeLine, timeLine } from "./lanes.ts";
import { facts, page, tiles } from "./page.ts";
import { type ShownPhase, type Standstill, showPhases, standstillOf } from "./phases.ts";

/** How much around the standstill is shown in its own chart, as a share of it. */
const AROUND = 0.06;

const lengthOf = ({ startMs, endMs }: Standstill) => endMs - startMs;

function pidsText({ pidBefore, pidAfter }: UpdateReportData): string | undefined {
  if (pidBefore === undefined && pidAfter === undefined) return undefined;
  if (pidBefore === pidAfter) return `${pidAfter} before and after`;
  return `${pidBefore ?? "?"} before, ${pidAfter ?? "?"} after`;
}

function verdict(data: UpdateReportData, still: Standstill | undefined): Content {
  const stood = still
    ? html`The guest stood still for <strong>${formatMs(lengthOf(still))}</strong>.`
    : "The guest was not stopped.";
  if (data.status === "completed") return html`<p>The VMM was replaced under the running guest. ${stood}</p>`;
  const reason = data.error ?? "no reason was given";
  return html`<p class="bad"><strong>The update ${data.status}:</strong> ${reason}.</p><p>The guest runs on. ${stood}</p>`;
}

function headTiles(data: UpdateReportData, still: Standstill | undefined): Html {
  const entries: (readonly [string, string])[] = [
    [still ? formatMs(lengthOf(still)) : formatMs(0), "the guest stood still"],
  ];
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
  return {
    old: note(data.pidBefore, data.versionBefore),
    new: note(data.pidAfter, data.versionAfter),
  };
}

/** The chart in words, for whoever cannot see it. */
function wordsFor(phases: readonly ShownPhase[], still: Standstill | undefined): string {
  const parts = phases.map(({ number, name, durationMs }) => `${number} ${name}, ${formatMs(durationMs)}`);
  const stood = still
    ? `The guest stands still from ${formatMs(still.startMs)} to ${formatMs(still.endMs)}.`
    : "The guest runs all the while.";
  return `Time line of the update. ${stood} Phases: ${parts.join("; ")}.`;
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

function timeLineSection(
  data: UpdateReportData,
  phases: readonly ShownPhase[],
  still: Standstill | undefined,
): Html {
  const last = phases.at(-1);
  const end = Math.max(data.totalMs ?? 0, last ? last.startMs + last.durationMs : 0);
  // a little after the end, so that the guest is seen to run on
  const whole: TimeLine = {
    phases,
    standstill: still,
    heartbeat: data.heartbeat,
    notes: notesOf(data),
    fromMs: 0,
    toMs: end * 1.03 || 1,
  };
  const words = wordsFor(phases, still);
  const margin = still ? lengthOf(still) * AROUND : 0;
  const part = still && { startMs: Math.max(0, still.startMs - margin), endMs: still.endMs + margin };
  const zoom = part && [
    lens(whole, part),
    timeLine(
      { ...whole, fromMs: part.startMs, toMs: part.endMs },
      `The standstill drawn larger. ${wordsFor(
        phases.filter((phase) => phase.still),
        still,
      )}`,
      true,
    ),
  ];
  const about = still
    ? "Above the whole update, below the part in which the guest stands still, drawn larger. The numbers are those of the table."
    : "The numbers are those of the table.";
  return html`<section aria-labelledby="line"><h2 id="line">Time line</h2><p class="quiet">${about}</p>${timeLine(whole, words)}${zoom}${keys()}</section>`;
}

const ACTORS = { old: "old VMM", asked: "new command", new: "new VMM" } as const;

function phaseRow(phase: ShownPhase, still: Standstill | undefined): Html {
  const { number, name, actor, startMs, durationMs, meaning } = phase;
  const share = phase.still && still ? durationMs / lengthOf(still) : undefined;
  return html`<tr><th scope="row"><span class="dot ${actor}">${number}</span>${name}<small class="who" aria-hidden="true">${ACTORS[actor]}</small></th><td class="by">${ACTORS[actor]}</td><td class="does">${meaning}</td><td class="n begins">${formatMs(startMs)}</td><td class="n">${formatMs(durationMs)}</td><td class="n part">${
    share === undefined
      ? html`<span class="quiet">runs</span>`
      : html`${formatShare(share)}<span class="share" style="width:${percent(Math.min(1, share))}"></span>`
  }</td></tr>`;
}

function phaseTable(
  data: UpdateReportData,
  phases: readonly ShownPhase[],
  still: Standstill | undefined,
): Html {
  const sum = phases.filter((phase) => phase.still).reduce((total, { durationMs }) => total + durationMs, 0);
  const foot =
    still &&
    html`<tfoot><tr><th scope="row">standstill</th><td class="by"></td><td class="does"></td><td class="n begins">${formatMs(still.startMs)}</td><td class="n">${formatMs(lengthOf(still))}</td><td class="n part">${formatShare(sum / lengthOf(still))}</td></tr></tfoot>`;
  return html`<section aria-labelledby="phases"><h2 id="phases">Phase by phase</h2>
<p class="quiet">As the VMM timed them${data.totalMs !== undefined && html`, ${formatMs(data.totalMs)} in all`}. The last column is the share of the time for which the guest stood still.</p>
<div class="scroll" role="region" aria-labelledby="phases" tabindex="0"><table><thead><tr><th scope="col">Phase</th><th scope="col" class="by">By</th><th scope="col" class="does">What is done</th><th scope="col" class="n begins">Begins</th><th scope="col" class="n">Takes</th><th scope="col" class="n part">Standstill</th></tr></thead>
<tbody>${phases.map((phase) => phaseRow(phase, still))}</tbody>${foot}</table></div></section>`;
}

function observed(data: UpdateReportData, still: Standstill | undefined): Content {
  const { heartbeat } = data;
  if (!heartbeat || heartbeat.length < 2) {
    return "Not from outside: known is when the VMM stopped the vCPUs and when it ran them again.";
  }
  const gap = still && longestGap(heartbeat, still);
  const [first, last] = [heartbeat[0], heartbeat.at(-1)];
  const every = ((last?.atMs ?? 0) - (first?.atMs ?? 0)) / (heartbeat.length - 1);
  const seen = gap
    ? `the guest's count stood still for ${formatMs(lengthOf(gap))}`
    : "the guest's count never stood still";
  return `${seen}, by ${formatCount(heartbeat.length)} looks at its RAM, one every ${formatMs(every)}`;
}

function factSection(data: UpdateReportData, still: Standstill | undefined): Html {
  const { vm, host, versionBefore, versionAfter, command, seen } = data;
  const versions = [versionBefore, versionAfter].filter((version) => version !== undefined);
  return html`<section aria-labelledby="facts"><h2 id="facts">Facts</h2>${facts([
    ["Outcome", data.status],
    ["Mode", data.mode],
    ["Pid", pidsText(data)],
    ["vmm", [...new Set(versions)].join(" → ")],
    ["New command", command && html`<code>${command.join(" ")}</code>`],
    ["Seen from outside", observed(data, still)],
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
  const still = standstillOf(data.phases, data.blackoutMs);
  const phases = showPhases(data.phases, still);
  const title = `Live update of ${data.vm.name}`;
  return page(
    title,
    html`<header><h1>${title}</h1>${verdict(data, still)}</header>
${headTiles(data, still)}
${phases.length > 0 && timeLineSection(data, phases, still)}
${phases.length > 0 && phaseTable(data, phases, still)}
${factSection(data, still)}`,
  );
}
