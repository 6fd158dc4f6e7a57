/** Which process a VM is: an update may have given it another. */
import { close, connectUnix, peerCredentials, readFile } from "@vmm/libc";
import type { QmpClient } from "@vmm/vmm/qmp/client.ts";
import type { VmFolder } from "./find-vms.ts";

/** The process that the VM's first vCPU is a thread of. */
export async function processOf(qmp: QmpClient): Promise<number | undefined> {
  const [cpu] = (await qmp.execute("query-cpus-fast")) as readonly { readonly "thread-id": number }[];
  if (!cpu) return undefined;
  try {
    const status = new TextDecoder().decode(readFile(`/proc/${cpu["thread-id"]}/status`));
    const pid = Number(/^Tgid:\s+(\d+)$/m.exec(status)?.[1]);
    return Number.isNaN(pid) ? undefined : pid;
  } catch {
    // A VM in another pid namespace: its numbers mean nothing here.
    return undefined;
  }
}

/** For a VM that does not answer: the process that made its control socket. */
export function socketOwner(vm: VmFolder): number | undefined {
  try {
    const fd = connectUnix(vm.paths.qmp);
    try {
      return peerCredentials(fd).pid;
    } finally {
      close(fd);
    }
  } catch {
    return undefined;
  }
}
