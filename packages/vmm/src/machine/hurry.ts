/**
 * While a guest stands still for a transfer, the threads that it waits for run before all ordinary threads of the host: on a
 * busy one each of them would else wait several times for its turn. For some ms, and only where the process may.
 */
import { runFirst } from "@vmm/libc";
import type { Machine } from "./machine.ts";

/** The main thread comes first: it has to be able to end this while vCPUs run. */
const MAIN = 2;
const VCPU = 1;

const together = (undo: readonly ((() => void) | undefined)[]) => () => {
  for (const end of undo) end?.();
};

/** Of the calling thread, the main one. The result ends it. */
export function hurryMain(): () => void {
  return together([runFirst(0, MAIN)]);
}

/** Of the vCPU threads, once they are up. The result ends it; until then, guest code runs so as well. */
export function hurryVcpus({ vm, control }: Machine): () => void {
  const tids = vm.vcpus.map(({ index }) => control.vcpu(index).tid).filter((tid) => tid !== 0);
  return together(tids.map((tid) => runFirst(tid, VCPU)));
}
