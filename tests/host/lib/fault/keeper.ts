/** The keeper dies or stands still: before the exec the update is taken back, after it the new VMM is on its own. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { childrenOf, commandLineOf, isAlive, threadsOf } from "../proc.ts";
import type { UpdateRequest } from "../update.ts";
import { until } from "../vm.ts";
import type { FaultRow, RowContext } from "./row.ts";
import { withFault } from "./row.ts";

/** Long enough for one that stands still to be given up and to be killed, 10 s each. */
const STILL_MS = 40_000;

const isKeeper = (pid: number) => commandLineOf(pid).at(-1) === "keeper";

/** The keeper of an update that is under way, as soon as there is one. */
async function keeperOf(vmm: number): Promise<number> {
  let keeper: number | undefined;
  await until("there is a keeper", () => {
    keeper = childrenOf(vmm).find(isKeeper);
    return keeper !== undefined;
  });
  return keeper as number;
}

async function killKeeper(vmm: number): Promise<void> {
  const keeper = await keeperOf(vmm);
  process.kill(keeper, "SIGKILL");
  // its fds are closed when its last thread has ended
  await until("the keeper is dead", () => !isAlive(keeper) && threadsOf(keeper).length <= 1);
}

const stopKeeper = async (vmm: number) => void process.kill(await keeperOf(vmm), "SIGSTOP");

async function statusOf(qmp: QmpClient): Promise<string> {
  return ((await qmp.execute("query-migrate")) as { status: string }).status;
}

/** Kills the keeper while the guest is stopped, before the exec. */
function beforeExec(): UpdateRequest {
  return {
    capabilities: ["pause-before-switchover"],
    async meanwhile(qmp, pid) {
      await until("the update waits", async () => (await statusOf(qmp)) === "pre-switchover");
      await killKeeper(pid);
      await qmp.execute("migrate-continue", { state: "pre-switchover" });
    },
  };
}

/** Does that to it when the new program has begun, which waits for it. */
function afterExec(
  { folder }: RowContext,
  command: readonly string[],
  act: (vmm: number) => Promise<void> = killKeeper,
): UpdateRequest {
  const begun = join(folder, "begun");
  const go = join(folder, "go");
  const wait = `: > ${begun}; while [ ! -e ${go} ]; do sleep 0.01; done; exec "$@"`;
  return {
    command: ["/bin/sh", "-c", wait, "sh", ...command],
    async meanwhile(_qmp, pid) {
      await until("the new program has begun", () => existsSync(begun));
      await act(pid);
      await Bun.write(go, "");
    },
    cleanUp: () => {
      for (const file of [begun, go]) rmSync(file, { force: true });
    },
  };
}

export const keeperRows = (): FaultRow[] => [
  {
    group: "the keeper is killed",
    what: "before the exec",
    request: beforeExec,
    expect: { outcome: "failed", reason: "the keeper ended before it was told of the update" },
  },
  {
    group: "the keeper is killed",
    what: "after the exec",
    request: (context) => afterExec(context, context.command),
    expect: { outcome: "completed" },
  },
  {
    group: "the keeper is killed",
    what: "after the exec, and the load fails",
    request: (context) => afterExec(context, withFault("restore-vm:throw", context.command)),
    expect: { outcome: "failed", reason: "fault at restore-vm" },
  },
  {
    group: "the keeper is killed",
    what: "as it starts",
    request: () => ({
      async meanwhile(_qmp, pid) {
        // still, so that it is not ready by the time that it is killed; on a host that has no time for us it may be
        await stopKeeper(pid);
        await killKeeper(pid);
      },
    }),
    expect: { outcome: "failed", reason: /the keeper ended before it was (ready|told of the update)/ },
  },
  {
    group: "the keeper stands still",
    what: "as it starts",
    request: () => ({ meanwhile: (_qmp, pid) => stopKeeper(pid), timeoutMs: STILL_MS }),
    expect: { outcome: "failed", reason: "the keeper is not ready after 10000 ms" },
    settleMs: STILL_MS,
    long: true,
  },
  {
    group: "the keeper stands still",
    what: "after the exec",
    request: (context) => ({
      ...afterExec(context, context.command, stopKeeper),
      timeoutMs: STILL_MS,
    }),
    expect: { outcome: "completed" },
    settleMs: STILL_MS,
    long: true,
  },
];
