/** Faults of a transfer: whatever the successor or the source does before the commit, the source has the guest. */
import { type FaultRow, seriesOf, withFault } from "./row.ts";

const TRANSFER = { mode: "cpr-transfer" } as const;
const COMMIT_MS = 500;
const READY_MS = 3000;
const TIMEOUTS = { "x-cpr-commit-timeout": COMMIT_MS, "x-cpr-preflight-timeout": READY_MS };

/** Points of the successor, in the order in which they are passed; whether it has said by then that it is ready. */
const POINTS: readonly (readonly [point: string, what: string, isReady: boolean])[] = [
  ["start", "at once", false],
  ["check-fd#2", "while it checks the fds", false],
  ["ready", "before it says that it is ready", false],
  ["receive-state", "when the state comes", true],
  ["load-state", "before the load", true],
  ["restore-vm", "between devices and vCPUs", true],
  ["commit", "after the load, before the run", true],
];

/** How it has ended is told as long as the guest runs. */
const ended = (how: string) => (isReady: boolean) =>
  isReady ? "the successor ended before it ran the guest" : `the successor ${how} before it was ready`;
const late = (isReady: boolean) =>
  isReady
    ? `the successor does not run the guest after ${COMMIT_MS} ms`
    : `the successor is not ready after ${READY_MS} ms`;

function successorRows(
  way: string,
  group: string,
  reason: (isReady: boolean, point: string) => string,
  wrapper: readonly string[] = [],
): FaultRow[] {
  return POINTS.map(([point, what, isReady]) => ({
    group,
    what,
    request: ({ command }) => ({
      ...TRANSFER,
      command: [...wrapper, ...withFault(`${point}:${way}`, command)],
      ...(way === "hang" && { parameters: TIMEOUTS }),
    }),
    expect: { outcome: "failed", reason: reason(isReady, point.replace(/#.*/, "")) },
    long: point !== (way === "throw" ? "ready" : "commit"),
  }));
}

/** Whoever throws says why, once there is somebody to be told. */
const thrown = (isReady: boolean, point: string) =>
  point === "start" ? ended("ended with status 1")(isReady) : `the successor failed: fault at ${point}`;

/** A program that waits for the VMM in place of becoming it. */
const THAT_STAYS = ["/bin/sh", "-c", '"$@"; true', "sh"];

function sourceRow(point: string, what: string, successor?: string): FaultRow {
  return {
    group: "transfer: the source fails",
    what,
    source: `${point}:throw`,
    request: ({ command }) => ({
      ...TRANSFER,
      ...(successor !== undefined && { command: withFault(successor, command) }),
    }),
    expect: { outcome: "failed", reason: `fault at ${point}` },
    long: point !== "send-state" && point !== "published-state",
  };
}

/** By then the successor has all that it needs: it goes on with the guest. */
function sourceIsKilled(point: string, what: string): FaultRow {
  return {
    group: "transfer: the source is killed",
    what,
    source: `${point}:kill`,
    request: () => TRANSFER,
    expect: { outcome: "completed", pid: "new" },
    long: point !== "published-state",
  };
}

/** Of these the successor has none yet. */
const repeatedRows = (point: string, least: number, group: string): FaultRow[] =>
  seriesOf({ name: `transfer ${point}`, least, most: 50, reason: `fault at ${point}` }, (pass) => ({
    group,
    source: `${point}#${pass}:throw`,
    request: () => TRANSFER,
  }));

export const transferRows = (): FaultRow[] => [
  sourceRow("setup", "in its setup"),
  sourceRow("start-successor", "before it starts the successor"),
  sourceRow("stop", "when the guest is stopped"),
  sourceRow("save", "when it saves the state"),
  sourceRow("write-state", "when it writes the state"),
  sourceRow("done", "when the state is saved"),
  sourceRow("send-state", "before it sends the state"),
  // the successor must not be done by then
  sourceRow("published-state", "when the state is in the window", "commit:hang"),
  sourceRow("sent-state", "when it has told of the state", "commit:hang"),
  sourceIsKilled("published-state", "when the state is in the window"),
  sourceIsKilled("sent-state", "when it has told of the state"),
  ...repeatedRows("memfd", 4, "transfer: memfd creation"),
  ...repeatedRows("seal", 2, "transfer: sealing a memfd"),
  ...successorRows("throw", "transfer: the successor throws", thrown),
  ...successorRows("exit", "transfer: the successor exits", ended("ended with status 3")),
  ...successorRows("kill", "transfer: the successor is killed", ended("was ended by SIGKILL")),
  ...successorRows("hang", "transfer: the successor hangs", late),
  ...successorRows("hang", "transfer: it hangs behind a wrapper that stays", late, THAT_STAYS),
  {
    group: "transfer: no VMM at all",
    what: "the successor ends with status 0",
    request: () => ({ ...TRANSFER, command: ["/bin/true"] }),
    expect: { outcome: "failed", reason: "the successor ended with status 0 before it was ready" },
    long: true,
  },
];
