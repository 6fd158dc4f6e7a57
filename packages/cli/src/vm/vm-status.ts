/** What a VM says of itself, for `vmm ls` and `vmm status`. */
import { reasonOf } from "../cli-error.ts";
import { queryQmp } from "./connect.ts";
import { configOf, type VmFolder } from "./find-vms.ts";
import { processOf, socketOwner } from "./process-of.ts";

export interface VmStatus {
  readonly name: string;
  /** The VM's process; missing where it is dead. */
  readonly pid?: number;
  /** The run state, as QMP names it; `dead` where there is no process, `unreachable` where it doesn't answer. */
  readonly status: string;
  readonly cpus: number;
  /** Bytes of RAM. */
  readonly memory: number;
  readonly accel: string;
  readonly boot: string;
  readonly folder: string;
  /** Of the last live update, where there was one. */
  readonly update?: Readonly<Record<string, unknown>>;
  /** Why it is unreachable. */
  readonly reason?: string;
}

/** One VM whose configuration is damaged is no reason to say nothing of the others. */
function fromConfig(vm: VmFolder) {
  try {
    const { cpus, memory, accel, boot } = configOf(vm);
    return {
      cpus: Number(cpus),
      memory: Number(memory.size),
      accel: accel.join(":"),
      boot: String("guest" in boot ? `guest ${boot.guest}` : boot.kernel),
    };
  } catch {
    return { cpus: 0, memory: 0, accel: "?", boot: "?" };
  }
}

interface QueryStatus {
  status: string;
}

/** Asks the VM. It never throws: a VM that does not answer is told as such. */
export async function statusOf(vm: VmFolder): Promise<VmStatus> {
  const known = { name: vm.name, ...fromConfig(vm), folder: vm.paths.folder };
  if (!vm.alive) return { ...known, status: "dead" };
  try {
    return await queryQmp(vm, async (qmp) => {
      const { status } = (await qmp.execute("query-status")) as QueryStatus;
      const update = (await qmp.execute("query-migrate")) as Record<string, unknown>;
      const seen = Object.keys(update).length > 0 ? { update } : {};
      return { ...known, ...pidField(await processOf(qmp)), status, ...seen };
    });
  } catch (error) {
    return { ...known, ...pidField(socketOwner(vm)), status: "unreachable", reason: reasonOf(error) };
  }
}

const pidField = (pid: number | undefined) => (pid === undefined ? {} : { pid });
