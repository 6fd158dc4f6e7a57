/** Faults of the new VMM: it goes back to the old command by itself, or the keeper does so in its place. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { UpdateRequest } from "../update.ts";
import { type FaultRow, type RowContext, seriesOf, withFault } from "./row.ts";

/** Points of the new VMM, in the order in which they are passed; whether it can go back by itself from there. */
const POINTS: readonly (readonly [point: string, what: string, byItself: boolean])[] = [
  ["start", "at once", false],
  ["read-cpr-state", "before it read the CPR state", false],
  ["check-fd#3", "while it checks the fds", false],
  ["read-state", "before the load", true],
  ["build", "before it builds the machine", true],
  ["load-record", "during the load, at the first record", true],
  ["load-record#12", "during the load, half-way", true],
  ["restore-vm", "during the load, between devices and vCPUs", true],
  ["start-devices", "after the load", true],
  ["hold-vcpus", "when it stops the vCPUs", true],
  ["load-vcpus", "during the load of the vCPUs", true],
  ["commit", "after the load, before the run", true],
];

/** Those at which short runs do not let it throw. */
const LONG = new Set(["read-cpr-state", "build", "load-record", "start-devices"]);

/** Points that are passed several times: each time is a row. */
const REPEATED: readonly (readonly [group: string, point: string, least: number, byItself: boolean])[] = [
  ["the check of an fd fails", "check-fd", 11, false],
  ["the load of a record fails", "load-record", 36, true],
];
const MOST_PASSES = 150;

const DIED = "the new VMM died before it ran the guest";
const TIMEOUT_MS = 500;
const TIMEOUT = { "x-cpr-commit-timeout": TIMEOUT_MS };

const fault =
  (text: string) =>
  ({ command }: RowContext): UpdateRequest => ({ command: withFault(text, command) });

function throwRow([point, what, byItself]: (typeof POINTS)[number]): FaultRow {
  const name = point.replace(/#.*/, "");
  // an fd that is wrong is told to the keeper with its reason, though the process cannot go on
  const told = byItself || name === "check-fd";
  return {
    group: "the new VMM throws",
    what,
    request: fault(`${point}:throw`),
    expect: { outcome: "failed", reason: told ? `fault at ${name}` : DIED, pid: byItself ? "same" : "new" },
    long: LONG.has(point),
  };
}

function endRows(way: string, group: string, short: readonly string[]): FaultRow[] {
  return POINTS.map(([point, what]) => ({
    group,
    what,
    request: fault(`${point}:${way}`),
    expect: { outcome: "failed", reason: DIED, pid: "new" },
    long: !short.includes(point),
  }));
}

function hangRows(): FaultRow[] {
  return POINTS.map(([point, what]) => ({
    group: "the new VMM hangs",
    what,
    request: ({ command }) => ({ command: withFault(`${point}:hang`, command), parameters: TIMEOUT }),
    expect: { outcome: "failed", reason: `did not run the guest within ${TIMEOUT_MS} ms`, pid: "new" },
    long: point !== "start" && point !== "commit",
  }));
}

function repeatedRows(): FaultRow[] {
  return REPEATED.flatMap(([group, point, least, byItself]) =>
    seriesOf(
      {
        name: `new ${point}`,
        least,
        most: MOST_PASSES,
        reason: `fault at ${point}`,
        pid: byItself ? "same" : "new",
      },
      (pass) => ({ group, request: fault(`${point}#${pass}:throw`) }),
    ),
  );
}

/** The same for a guest that stands still: then no vCPU runs on meanwhile. */
function pausedRows(): FaultRow[] {
  const group = "the guest is paused";
  const rows: FaultRow[] = [
    {
      group,
      what: "saving fails",
      source: "save:throw",
      expect: { outcome: "failed", reason: "fault at save" },
    },
    { group, what: "nothing fails", expect: { outcome: "completed" } },
  ];
  const ways: readonly (readonly [string, "same" | "new"])[] = [
    ["throw", "same"],
    ["kill", "new"],
  ];
  for (const point of ["load-record#12", "restore-vm", "commit"]) {
    for (const [way, pid] of ways) {
      const reason = way === "kill" ? DIED : "fault at";
      rows.push({
        group,
        what: `the new VMM at ${point.replace(/#.*/, "")}: ${way}`,
        request: fault(`${point}:${way}`),
        expect: { outcome: "failed", reason, pid },
        long: point !== "restore-vm",
      });
    }
  }
  return rows.map((row) => ({ ...row, paused: true }));
}

const KILLS = 20;

/** Kills it when it has that much of its start behind it. It never gets to the run, so that it is before it, whenever it is. */
function killRow(i: number): FaultRow {
  const percent = (100 / KILLS) * i;
  return {
    group: "the new VMM is killed",
    what: `SIGKILL at ${percent}% of its start`,
    request: ({ folder, command, startMs }) => {
      const sign = join(folder, "exec");
      const ms = (startMs * percent) / 100;
      return {
        command: ["/bin/sh", "-c", `: > ${sign}; exec "$@"`, "sh", ...withFault("commit:hang", command)],
        meanwhile: async (_qmp, pid) => {
          while (!existsSync(sign)) await Bun.sleep(0);
          if (ms > 0) await Bun.sleep(ms);
          process.kill(pid, "SIGKILL");
        },
        cleanUp: () => rmSync(sign, { force: true }),
      };
    },
    expect: { outcome: "failed", reason: DIED, pid: "new" },
    long: i % 5 !== 0,
  };
}

function otherPrograms(): FaultRow[] {
  return [
    {
      group: "no VMM at all",
      what: "the new program ends with status 0",
      request: () => ({ command: ["/bin/true"] }),
      expect: { outcome: "failed", reason: DIED, pid: "new" },
    },
    {
      group: "no VMM at all",
      what: "the new program waits for ever",
      request: () => ({ command: ["/bin/sleep", "60"], parameters: TIMEOUT }),
      expect: { outcome: "failed", reason: `within ${TIMEOUT_MS} ms`, pid: "new" },
    },
    {
      group: "no VMM at all",
      what: "the new program closes all fds and ends",
      request: () => ({
        command: ["/bin/sh", "-c", 'for n in $(ls /proc/$$/fd); do eval "exec $n>&-"; done'],
      }),
      expect: { outcome: "failed", reason: DIED, pid: "new" },
    },
  ];
}

/** The old VMM ends when the keeper knows all, right before the exec. */
function sourceRows(): FaultRow[] {
  return (["kill", "exit", "crash", "hang"] as const).map((way) => ({
    group: "the old VMM ends at execve",
    what: way,
    source: `exec:${way}`,
    request: () => ({ parameters: TIMEOUT }),
    expect: { outcome: "failed", reason: /died before|within 500 ms/, pid: "new" },
    long: way === "exit" || way === "crash",
  }));
}

export const afterExecRows = (): FaultRow[] => [
  ...POINTS.map(throwRow),
  ...endRows("exit", "the new VMM exits", ["start", "load-record#12"]),
  ...endRows("kill", "the new VMM is killed", ["read-state", "commit"]),
  ...endRows("crash", "the new VMM crashes", ["restore-vm"]),
  ...hangRows(),
  ...repeatedRows(),
  ...pausedRows(),
  ...Array.from({ length: KILLS }, (_, i) => killRow(i)),
  ...otherPrograms(),
  ...sourceRows(),
];
