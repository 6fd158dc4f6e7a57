/** A VM's QMP socket, for the length of a command. */

import { isClaimed } from "@vmm/vmm/config/index.ts";
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { CliError, reasonOf } from "../cli-error.ts";
import type { VmFolder } from "./find-vms.ts";

/** A VM answers at once; one that is being updated, when that is over. */
const TIMEOUT_MS = 15_000;
const RETRY_MS = 10;

/**
 * Connects to a VM. An update may cut the connection off before the VM has answered: then it is made again.
 *
 * @throws CliError where the VM does not answer.
 */
export async function connectQmp(vm: VmFolder, timeoutMs: number = TIMEOUT_MS): Promise<QmpClient> {
  const { QmpClient } = await import("@vmm/vmm/qmp/client.ts");
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await QmpClient.connect(vm.paths.qmp, { timeoutMs: Math.max(1, deadline - performance.now()) });
    } catch (error) {
      if (performance.now() + RETRY_MS < deadline && isClaimed(vm.paths)) await Bun.sleep(RETRY_MS);
      else throw new CliError(`the VM "${vm.name}" cannot be reached: ${reasonOf(error)}`);
    }
  }
}

/** Connects, does something, and disconnects. */
export async function withQmp<T>(vm: VmFolder, use: (qmp: QmpClient) => Promise<T>): Promise<T> {
  const qmp = await connectQmp(vm);
  try {
    return await use(qmp);
  } finally {
    qmp.close();
  }
}

const QUERY_ATTEMPTS = 5;

/** As `withQmp`, for what only asks: done again where an update cuts the connection off in the midst of it. */
export async function queryQmp<T>(vm: VmFolder, ask: (qmp: QmpClient) => Promise<T>): Promise<T> {
  const { QmpConnectionError } = await import("@vmm/vmm/qmp/client.ts");
  for (let attempt = 1; ; attempt++) {
    try {
      return await withQmp(vm, ask);
    } catch (error) {
      if (!(error instanceof QmpConnectionError) || attempt === QUERY_ATTEMPTS) throw error;
    }
  }
}
