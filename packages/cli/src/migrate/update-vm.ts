/** One update of a VM, from the first word to the outcome. */
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { CliError, reasonOf, UsageError } from "../cli-error.ts";
import { EXIT } from "../exit-code.ts";
import { connectQmp, queryQmp } from "../vm/connect.ts";
import type { VmFolder } from "../vm/find-vms.ts";
import { processOf } from "../vm/process-of.ts";
import { followMigration } from "./follow.ts";
import { type UpdateReport, updateReport } from "./report.ts";

/** How a VM gets another VMM. */
export type UpdateMode = "cpr-exec" | "cpr-transfer";

export interface UpdateOptions {
  /** cpr-exec, where left out. */
  readonly mode?: UpdateMode;
  /** Of cpr-transfer: the socket of a successor that was started by hand. Left out, the VM starts one. */
  readonly successor?: string | undefined;
  /** The new VMM's command line, its program as an absolute path. */
  readonly command: readonly string[];
  readonly preflight: boolean;
  /** For all of it (ms). */
  readonly timeoutMs: number;
  /** Hears what happens, line by line. */
  readonly say: (line: string) => void;
  /** Hears of each status of the migration once. */
  readonly onStatus?: ((status: string) => void) | undefined;
}

/** What the statuses of a migration mean to people. */
const STATUS_TEXT: Readonly<Record<string, string>> = {
  setup: "getting ready, the guest runs",
  active: "the guest is stopped",
  device: "saving its devices",
  completed: "the guest runs under the new VMM",
};

/**
 * Has the VM replace its VMM and waits for the outcome, good or bad.
 *
 * @throws CliError where the VM refuses, or does not answer any more.
 */
export async function updateVm(vm: VmFolder, options: UpdateOptions): Promise<UpdateReport> {
  const qmp = await connectQmp(vm);
  const before = await processOf(qmp);
  await begin(vm, qmp, options);
  const { mode = "cpr-exec", timeoutMs } = options;
  const source = mode === "cpr-transfer" ? before : undefined;
  const info = await followMigration(vm, qmp, { timeoutMs, source }, (status) => {
    options.onStatus?.(status);
    const text = STATUS_TEXT[status];
    if (text) options.say(`${status}: ${text}`);
  });
  return updateReport(info, {
    name: vm.name,
    mode,
    before,
    after: await queryQmp(vm, processOf),
  });
}

/** @throws UsageError where the VM cannot be updated at all, CliError where it refuses this update. */
async function begin(
  vm: VmFolder,
  qmp: QmpClient,
  { mode, command, successor, preflight, timeoutMs, say }: UpdateOptions,
): Promise<void> {
  const { QmpConnectionError } = await import("@vmm/vmm/qmp/client.ts");
  try {
    await setCommand(qmp, command, mode);
    if (preflight) say(`asking the ${successor ? "successor" : "new command"} whether it can take over`);
    const migrate = qmp.execute("migrate", {
      ...(successor !== undefined && { uri: `cpr:${successor}` }),
      ...(!preflight && { "x-preflight": false }),
    });
    if (!(await within(timeoutMs, migrate))) {
      await queryQmp(vm, (other) => other.execute("migrate_cancel"));
      throw new CliError(`the new command did not answer within ${timeoutMs / 1000} s`);
    }
  } catch (error) {
    // The exec may come before the answer: who follows the update finds out.
    if (error instanceof QmpConnectionError) return;
    qmp.close();
    const exitCode = error instanceof CliError ? error.exitCode : EXIT.failed;
    throw new CliError(`the update of VM "${vm.name}" was refused: ${reasonOf(error)}`, exitCode);
  }
}

/** Waits for it, but not for long. Returns whether it is there. */
async function within(ms: number, answer: Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  // one that fails after it was given up has nobody to tell
  answer.catch(() => {});
  try {
    return await Promise.race([answer.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Has the VM know what an update is to run.
 *
 * @throws UsageError where something stands in the way of any update, such as RAM that is not shared.
 */
export async function setCommand(
  qmp: QmpClient,
  command: readonly string[],
  mode: UpdateMode = "cpr-exec",
): Promise<void> {
  const { QmpError } = await import("@vmm/vmm/qmp/qmp-error.ts");
  try {
    await qmp.execute("migrate-set-parameters", { mode, "cpr-exec-command": command });
  } catch (error) {
    throw error instanceof QmpError ? new UsageError(error.message) : error;
  }
  const info = (await qmp.execute("query-migrate")) as { "blocked-reasons"?: readonly string[] };
  const reasons = info["blocked-reasons"] ?? [];
  if (reasons.length > 0) throw new UsageError(reasons.join(" "));
}
