/** A VM's QMP socket, for the length of a command. */
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import { CliError, reasonOf } from "../cli-error.ts";
import type { VmFolder } from "./find-vms.ts";

/** A VM answers at once; one whose guest stands still for an update, soon after. */
const TIMEOUT_MS = 5_000;

/** @throws CliError where the VM does not answer. */
export async function connectQmp(vm: VmFolder, timeoutMs: number = TIMEOUT_MS): Promise<QmpClient> {
  const { QmpClient } = await import("@vmm/vmm/qmp/client.ts");
  try {
    return await QmpClient.connect(vm.paths.qmp, { timeoutMs });
  } catch (error) {
    throw new CliError(`the VM "${vm.name}" cannot be reached: ${reasonOf(error)}`);
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
