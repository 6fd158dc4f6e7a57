/** Faults of a transfer: whatever the successor or the source does before the commit, the source has the guest. */
import { type FaultRow, withFault } from "./row.ts";

const TRANSFER = { mode: "cpr-transfer" } as const;

/** Points of the successor, in the order in which they are passed. */
const POINTS: readonly (readonly [point: string, what: string])[] = [
  ["start", "at once"],
  ["check-fd#2", "while it checks the fds"],
  ["ready", "before it says that it is ready"],
  ["receive-state", "when the state comes"],
  ["restore-vm", "between devices and vCPUs"],
  ["commit", "after the load, before the run"],
];

const SHORT = new Set(["ready", "commit"]);
const TIMEOUTS = { "x-cpr-commit-timeout": 500, "x-cpr-preflight-timeout": 3000 };

function successorRows(way: string, group: string): FaultRow[] {
  return POINTS.map(([point, what]) => ({
    group,
    what,
    request: ({ command }) => ({
      ...TRANSFER,
      command: withFault(`${point}:${way}`, command),
      ...(way === "hang" && { parameters: TIMEOUTS }),
    }),
    expect: { outcome: "failed" },
    long: way === "hang" ? point !== "commit" : !SHORT.has(point),
  }));
}

function sourceRow(point: string, what: string): FaultRow {
  return {
    group: "transfer: the source fails",
    what,
    source: `${point}:throw`,
    request: () => TRANSFER,
    expect: { outcome: "failed", reason: `fault at ${point}` },
    long: point !== "send-state",
  };
}

export const transferRows = (): FaultRow[] => [
  sourceRow("setup", "in its setup"),
  sourceRow("start-successor", "before it starts the successor"),
  sourceRow("stop", "when the guest is stopped"),
  sourceRow("save", "when it saves the state"),
  sourceRow("write-state", "when it writes the state"),
  sourceRow("done", "when the state is saved"),
  sourceRow("send-state", "before it sends the state"),
  ...successorRows("throw", "transfer: the successor throws"),
  ...successorRows("exit", "transfer: the successor exits"),
  ...successorRows("kill", "transfer: the successor is killed"),
  ...successorRows("hang", "transfer: the successor hangs"),
  {
    group: "transfer: no VMM at all",
    what: "the successor ends with status 0",
    request: () => ({ ...TRANSFER, command: ["/bin/true"] }),
    expect: { outcome: "failed" },
    long: true,
  },
];
