/** An update driven by QMP, by a client that keeps quiet while the guest stands still. */
import { QmpClient } from "@vmm/vmm/qmp/client.ts";
import type { AwaitPause, Interval, OwnReport } from "./subject.ts";

const CONNECT_MS = 20_000;
const RETRY_MS = 10;
/** An update that takes longer than this is asked about. */
const LOOK_MS = 1000;

/** Connects, however long the socket takes to be there. */
export async function connectQmp(path: string): Promise<QmpClient> {
  const deadline = performance.now() + CONNECT_MS;
  for (;;) {
    try {
      return await QmpClient.connect(path);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await Bun.sleep(RETRY_MS);
    }
  }
}

export interface QmpUpdate {
  readonly socket: string;
  /** The new VMM's command line. */
  readonly command: readonly string[];
  /** cpr-exec, where left out. */
  readonly mode?: string;
  /** Of the main channel; left out for a memfd. */
  readonly uri?: string;
}

/** What the new process says of the update. */
export interface UpdateInfo {
  readonly status: string;
  readonly "error-desc"?: string;
  readonly "x-downtime-ns"?: number;
  readonly "x-start-ns"?: number;
  readonly "x-phases"?: readonly (TimedInfo & { readonly name: string })[];
  readonly "x-standstills"?: readonly TimedInfo[];
}

/** From the beginning of the update. */
interface TimedInfo {
  readonly "start-ns": number;
  readonly "duration-ns": number;
}

/** The same in ms. */
export function ownReport(info: UpdateInfo): OwnReport {
  const ns = info["x-downtime-ns"];
  return {
    intervals: pauseIntervals(info),
    pauseMs: ns === undefined ? undefined : ns / 1e6,
    phases: (info["x-phases"] ?? []).map(({ name, ...time }) => ({ name, ms: time["duration-ns"] / 1e6 })),
  };
}

/** Where there are no standstills of their own, the guest stood still from the stop on. */
function pauseIntervals(info: UpdateInfo): Interval[] {
  const stop = info["x-phases"]?.find(({ name }) => name === "stop");
  const whole = stop && [{ ...stop, "duration-ns": info["x-downtime-ns"] ?? 0 }];
  const began = info["x-start-ns"] ?? 0;
  return (info["x-standstills"] ?? whole ?? []).map((still) => {
    const start = began + still["start-ns"];
    return { start, end: start + still["duration-ns"] };
  });
}

/** One update. @throws Error where it does not complete. */
export async function updateByQmp(
  { socket, command, uri, mode = "cpr-exec" }: QmpUpdate,
  awaitPause: AwaitPause,
) {
  const old = await connectQmp(socket);
  await old.execute("migrate-set-parameters", { mode, "cpr-exec-command": command });
  await old.execute("migrate", uri ? { uri } : {});
  await replaced(old);
  await awaitPause();
  return completed(socket);
}

/** Waits for the exec, or the end of the source, which closes the connection. @throws Error where the old process says that the update failed. */
async function replaced(old: QmpClient): Promise<void> {
  let isClosed = false;
  const closed = old.closed.then(() => {
    isClosed = true;
  });
  for (;;) {
    await Promise.race([closed, Bun.sleep(LOOK_MS)]);
    if (isClosed) return;
    const info = (await old.execute("query-migrate").catch(() => undefined)) as UpdateInfo | undefined;
    if (info?.status !== "failed") continue;
    old.close();
    throw new Error(`the update failed: ${info["error-desc"] ?? "no reason given"}`);
  }
}

async function completed(socket: string): Promise<UpdateInfo> {
  const deadline = performance.now() + CONNECT_MS;
  const client = await connectQmp(socket);
  try {
    for (;;) {
      const info = (await client.execute("query-migrate")) as UpdateInfo;
      if (info.status === "completed") return info;
      if (info.status === "failed" || performance.now() > deadline) {
        throw new Error(`the update ended as ${info.status}: ${info["error-desc"] ?? "no reason given"}`);
      }
      await Bun.sleep(RETRY_MS);
    }
  } finally {
    client.close();
  }
}
