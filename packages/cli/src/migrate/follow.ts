/** Following a migration to its end, through the exec that cuts the connection. */
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { CliError, reasonOf } from "../cli-error.ts";
import { connectQmp } from "../vm/connect.ts";
import type { VmFolder } from "../vm/find-vms.ts";
import { processOf } from "../vm/process-of.ts";

/** What `query-migrate` answers, as far as it is used here. */
export interface MigrationInfo {
  readonly status: string;
  readonly "total-time"?: number;
  readonly "setup-time"?: number;
  readonly downtime?: number;
  readonly "x-downtime-ns"?: number;
  readonly "x-mode"?: string;
  /** CLOCK_MONOTONIC. */
  readonly "x-start-ns"?: number;
  /** When the guest stood still, where that was not all the time. */
  readonly "x-standstills"?: readonly { "start-ns": number; "duration-ns": number }[];
  readonly "x-state-bytes"?: number;
  readonly "x-phases"?: readonly { name: string; "start-ns": number; "duration-ns": number }[];
  readonly "error-desc"?: string;
}

const POLL_MS = 5;
const RETRY_MS = 5;

const isOver = (status: string) => ["completed", "failed", "cancelled"].includes(status);

/**
 * Asks until the migration is over, of the old process and then of the new one.
 *
 * @param client Connected; it is closed here.
 * @param source The process that is to hand the guest over to another one, which then tells how it went.
 * @param onStatus Hears of each status once.
 * @throws CliError where nobody answers within `timeoutMs`.
 */
export async function followMigration(
  vm: VmFolder,
  client: QmpClient,
  { timeoutMs, source }: { timeoutMs: number; source?: number | undefined },
  onStatus: (status: string) => void,
): Promise<MigrationInfo> {
  const deadline = performance.now() + timeoutMs;
  let qmp: QmpClient | undefined = client;
  let last = "";
  try {
    for (;;) {
      let info: MigrationInfo | undefined = await ask(qmp);
      if (info && info.status !== last) {
        last = info.status;
        onStatus(last);
      }
      if (info?.status === "completed" && source !== undefined && (await isProcess(qmp, source)))
        info = undefined;
      if (info && isOver(info.status)) return info;
      if (performance.now() > deadline) throw timedOut(vm, timeoutMs, last);
      await Bun.sleep(info ? POLL_MS : RETRY_MS);
      if (!info) {
        qmp?.close();
        qmp = await reconnect(vm, deadline);
      }
    }
  } finally {
    qmp?.close();
  }
}

async function ask(qmp: QmpClient | undefined): Promise<MigrationInfo | undefined> {
  try {
    return (await qmp?.execute("query-migrate")) as MigrationInfo | undefined;
  } catch {
    // The exec cut the connection.
    return undefined;
  }
}

async function isProcess(qmp: QmpClient | undefined, pid: number): Promise<boolean> {
  try {
    return qmp !== undefined && (await processOf(qmp)) === pid;
  } catch {
    // It has ended, so it was that one.
    return true;
  }
}

async function reconnect(vm: VmFolder, deadline: number): Promise<QmpClient | undefined> {
  try {
    return await connectQmp(vm, Math.max(1, deadline - performance.now()));
  } catch (error) {
    if (performance.now() > deadline) throw new CliError(reasonOf(error));
    return undefined;
  }
}

function timedOut(vm: VmFolder, timeoutMs: number, last: string): CliError {
  const where = last ? `; its last status was ${last}` : "";
  const help = "look again with vmm status";
  return new CliError(
    `the update of VM "${vm.name}" was not over within ${timeoutMs / 1000} s${where}; ${help}`,
  );
}
